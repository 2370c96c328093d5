/** `run`: batch replay of bundles, and the report of it. */
import type { Command } from 'commander';
import { DEFAULT_BATCH_ROWS } from '../replay/batch-rows.ts';
import { parsePacing } from '../replay/pacing.ts';
import { ExitCode } from './exit-code.ts';
import { KEEPS_WHAT_IS_FINISHED, withInterrupt } from './interrupt.ts';
import { collect, parseCount, parseNames, parseWorkers } from './pacing-option.ts';
import type { CommandContext } from './program.ts';
import { createProgress } from './progress.ts';
import { packageVersion } from './version.ts';

interface RunOptions {
  readonly output: string;
  readonly hw: string;
  readonly kernel?: string;
  readonly set: readonly string[];
  readonly pace?: string;
  readonly workers?: string;
  readonly batchRows: string;
  readonly assumptions?: boolean;
  readonly force?: boolean;
  readonly format: string;
}

/** What a user opens, of the files of a run folder. */
const REPORT_PAGES: readonly string[] = ['index.html', 'report.txt', 'report.md', 'report.json'];

/** Registers `run`. */
export function registerRun(program: Command, context: CommandContext): void {
  program
    .command('run <bundles...>')
    .description('replay bundles and write a run folder with its report')
    .requiredOption('-o, --output <run>', 'run folder to write')
    .option('--hw <profiles>', 'hardware profiles, comma-separated', 'vtd-emr')
    .option('--kernel <profiles>', "kernel profiles, comma-separated; the recording's own when left out")
    .option('--set <path=value>', 'override one number of the profiles; repeatable', collect, [])
    .option('--pace <mode>', "recorded | closed | scale=N; the bundle's default when left out")
    .option('--assumptions', 'replay again with each assumed number moved: what the result rests on')
    .option('--workers <n>', 'worker threads; 0 replays in this thread; all cores when left out')
    .option('--batch-rows <n>', 'rows handed to the data plane at once; changes no result', String(DEFAULT_BATCH_ROWS))
    .option('--format <formats>', 'html,json,text,md', 'html,json,text,md')
    .option('--force', 'replace an existing run folder')
    .action(async (bundles: string[], options: RunOptions) => {
      const [{ runReplay }, { checkRunFolder, writeRunFolder }] = await Promise.all([
        import('../replay/run.ts'),
        import('../report/writer.ts'),
      ]);
      const target = { formats: parseNames('--format', options.format), overwrite: options.force === true };
      await checkRunFolder(options.output, target);
      const progress = await createProgress(context.console, 'replaying');
      const result = await withInterrupt(KEEPS_WHAT_IS_FINISHED, async (signal) => {
        try {
          return await runReplay({
            bundles,
            hardware: parseNames('--hw', options.hw),
            ...(options.kernel === undefined ? {} : { kernels: parseNames('--kernel', options.kernel) }),
            overrides: options.set,
            ...(options.pace === undefined ? {} : { pacing: parsePacing(options.pace) }),
            workers: parseWorkers(options.workers),
            batchRows: parseCount('--batch-rows', options.batchRows),
            assumptions: options.assumptions === true,
            onAssumptions: (numbers, replays) =>
              context.console.talk(`assumptions: ${numbers} numbers, ${replays} more replays`),
            toolVersion: packageVersion(),
            onProgress: (done: number, total: number) => progress.update(done, total),
            signal,
          });
        } finally {
          progress.stop();
        }
      });
      const written = await writeRunFolder(result.run, options.output, target);
      const failures = [...result.run.failures, ...(result.run.assumptions?.missing ?? [])];
      for (const { key, error } of failures) if (error !== null) context.console.talk(`failed: ${key}: ${error}`);
      const [first, ...others] = written.filter((path) => REPORT_PAGES.includes(path));
      const also = others.length === 0 ? '' : ` (also ${others.join(', ')})`;
      context.console.talk(`report: ${options.output}/${first}${also}`);
      context.exit(result.interrupted ? ExitCode.interrupted : result.exitCode);
    });
}
