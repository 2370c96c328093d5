/** `replace`: the same load under each switching policy, and what each disturbs. */
import type { Command } from 'commander';
import { DEFAULT_BATCH_ROWS } from '../replay/batch-rows.ts';
import { parsePacing } from '../replay/pacing.ts';
import { SWITCH_POLICIES } from '../replay/study/policy.ts';
import { ExitCode } from './exit-code.ts';
import { KEEPS_WHAT_IS_FINISHED, withInterrupt } from './interrupt.ts';
import { collect, parseCount, parseNames, parseWorkers } from './pacing-option.ts';
import type { CommandContext } from './program.ts';
import { createProgress } from './progress.ts';
import { packageVersion } from './version.ts';

interface ReplaceOptions {
  readonly output: string;
  readonly policy: string;
  readonly hw: string;
  readonly kernel?: string;
  readonly set: readonly string[];
  readonly pace?: string;
  readonly userGap: string;
  readonly injectSwitch?: string;
  readonly onFault?: string;
  readonly window: string;
  readonly sensitivity: boolean;
  readonly workers?: string;
  readonly batchRows: string;
  readonly force?: boolean;
  readonly format: string;
}

/** Registers `replace`. */
export function registerReplace(program: Command, context: CommandContext): void {
  program
    .command('replace <bundles...>')
    .description('disruption study: replay the same switches under each policy and compare what they disturb')
    .requiredOption('-o, --output <study>', 'study folder to write')
    .option('--policy <names>', 'switching policies, comma-separated', SWITCH_POLICIES.join(','))
    .option('--hw <profiles>', 'hardware profiles, comma-separated', 'vtd-emr')
    .option('--kernel <profiles>', "kernel profiles, comma-separated; the recording's own when left out")
    .option('--set <path=value>', 'override one number of the profiles; repeatable', collect, [])
    .option('--pace <mode>', "recorded | closed | scale=N; the bundle's default when left out")
    .option('--user-gap <time>', 'recorded, or the time between detach and attach, such as 50us', 'recorded')
    .option('--inject-switch <spec>', 'add switches: every=10ms[,kind=rid|pasid|mdev|container]')
    .option(
      '--on-fault <what>',
      'continue | stop: a device whose requests fault; stop under closed pacing when left out',
    )
    .option('--window <time>', 'shown on each side of a switch', '20us')
    .option('--no-sensitivity', 'leave out the replays with other invalidation latencies')
    .option('--workers <n>', 'worker threads; 0 replays in this thread; all cores when left out')
    .option('--batch-rows <n>', 'rows handed to the data plane at once; changes no result', String(DEFAULT_BATCH_ROWS))
    .option('--format <formats>', 'html,json,text,md', 'html,json,text,md')
    .option('--force', 'replace an existing study folder')
    .action(async (bundles: string[], options: ReplaceOptions) => {
      const [study, { checkStudyFolder, writeStudyFolder }] = await Promise.all([
        import('../replay/study/study-run.ts'),
        import('../report/study/writer.ts'),
      ]);
      const target = { formats: parseNames('--format', options.format), overwrite: options.force === true };
      await checkStudyFolder(options.output, target);
      const progress = await createProgress(context.console, 'replaying');
      const result = await withInterrupt(KEEPS_WHAT_IS_FINISHED, async (signal) => {
        try {
          return await study.runStudy({
            bundles,
            policies: study.parsePolicies(parseNames('--policy', options.policy)),
            hardware: parseNames('--hw', options.hw),
            ...(options.kernel === undefined ? {} : { kernels: parseNames('--kernel', options.kernel) }),
            overrides: options.set,
            ...(options.pace === undefined ? {} : { pacing: parsePacing(options.pace) }),
            ...(options.userGap === 'recorded' ? {} : { gapNs: study.parseDuration('--user-gap', options.userGap) }),
            ...(options.injectSwitch === undefined ? {} : { inject: study.parseInjection(options.injectSwitch) }),
            ...(options.onFault === undefined ? {} : { onFault: study.parseOnFault(options.onFault) }),
            windowNs: study.parseDuration('--window', options.window),
            sensitivity: options.sensitivity,
            workers: parseWorkers(options.workers),
            batchRows: parseCount('--batch-rows', options.batchRows),
            toolVersion: packageVersion(),
            onProgress: (done: number, total: number) => progress.update(done, total),
            signal,
          });
        } finally {
          progress.stop();
        }
      });
      const document = await writeStudyFolder(result.run, options.output, target);
      for (const failure of result.run.failures) context.console.talk(`failed: ${failure.key}: ${failure.error}`);
      for (const verdict of document.verdicts) context.console.talk(verdict);
      context.console.talk(`study: ${options.output}/index.html (also study.txt, study.md, study.json)`);
      context.exit(result.interrupted ? ExitCode.interrupted : result.exitCode);
    });
}
