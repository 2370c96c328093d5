/** `sweep`: what other values of a profile's numbers would do to a workload. */
import type { Command } from 'commander';
import { ConfigError } from '../input-error.ts';
import { DEFAULT_BATCH_ROWS } from '../replay/batch-rows.ts';
import { parsePacing } from '../replay/pacing.ts';
import type { SweepOptions } from '../replay/sweep/sweep-run.ts';
import { ExitCode } from './exit-code.ts';
import { KEEPS_WHAT_IS_FINISHED, withInterrupt } from './interrupt.ts';
import { collect, parseCount, parseNames, parseWorkers } from './pacing-option.ts';
import type { CommandContext } from './program.ts';
import { createProgress } from './progress.ts';
import { packageVersion } from './version.ts';

interface SweepCommandOptions {
  readonly output?: string;
  readonly param: readonly string[];
  readonly oneAtATime?: boolean;
  readonly grid?: boolean;
  readonly dryRun?: boolean;
  readonly hw: string;
  readonly kernel?: string;
  readonly set: readonly string[];
  readonly pace?: string;
  readonly workers?: string;
  readonly batchRows: string;
  readonly force?: boolean;
  readonly format: string;
}

/** Errors said on the terminal; all are in the report. */
const MOST_SAID = 10;

/** What a user opens, of the files of a sweep folder. */
const PAGES: readonly string[] = ['index.html', 'sweep.txt', 'sweep.md', 'sweep.json'];

const EXAMPLES = `
Examples:
  sweep out/ring.bundle --param iotlb.entries=32..1024:x2 -o out/ring.sweep
  sweep out/ring.bundle --param iotlb.policy=lru,fifo --param translation.walkers=1..16:x2 -o out/ring.sweep
  sweep out/ring.bundle --grid --param iotlb.entries=64..512:x2 --param iotlb.ways=4,8,16 --dry-run

RANGE is a,b,c or from..to:xN (each N times the last) or from..to:+N (each N more). PATH is a number of a profile, as
--set takes it; pace (recorded, closed, scale=N); or mode (strict, lazy, passthrough) of kernel-driven devices.`;

/** Registers `sweep`. */
export function registerSweep(program: Command, context: CommandContext): void {
  program
    .command('sweep <bundles...>')
    .description('what-if: replay with other values of profile numbers and rank what helps most')
    .option('-o, --output <sweep>', 'sweep folder to write')
    .option('--param <path=range>', 'what to sweep, e.g. iotlb.entries=32..1024:x2; repeatable', collect, [])
    .option('--one-at-a-time', 'each --param alone around the values of the profile (default)')
    .option('--grid', 'all combinations of the --param values')
    .option('--dry-run', 'print the points and replay nothing')
    .option('--hw <profiles>', 'hardware profiles, comma-separated', 'vtd-emr')
    .option('--kernel <profiles>', "kernel profiles, comma-separated; the recording's own when left out")
    .option('--set <path=value>', 'override one number of the profiles; repeatable', collect, [])
    .option('--pace <mode>', "recorded | closed | scale=N; the bundle's default when left out")
    .option('--workers <n>', 'worker threads; 0 replays in this thread; all cores when left out')
    .option('--batch-rows <n>', 'rows handed to the data plane at once; changes no result', String(DEFAULT_BATCH_ROWS))
    .option('--format <formats>', 'files to write, comma-separated, of html, json, text, md', 'html,json,text,md')
    .option('--force', 'replace an existing sweep folder')
    .addHelpText('after', EXAMPLES)
    .action(async (bundles: string[], options: SweepCommandOptions) => {
      const request = sweepOptions(bundles, options);
      const [{ planSweepRun, runSweep }, { planSummary, planText }] = await Promise.all([
        import('../replay/sweep/sweep-run.ts'),
        import('../report/sweep/plan-text.ts'),
      ]);
      if (options.dryRun === true) {
        context.console.data(planText(planSweepRun(request)));
        return;
      }
      const { output } = options;
      if (output === undefined) {
        throw new ConfigError({ source: 'sweep', reason: '-o, --output <sweep> is missing (--dry-run needs none)' });
      }
      const { checkSweepFolder, writeSweepFolder } = await import('../report/sweep/writer.ts');
      const target = { formats: parseNames('--format', options.format), overwrite: options.force === true };
      await checkSweepFolder(output, target);
      const progress = await createProgress(context.console, 'replaying');
      const result = await withInterrupt(KEEPS_WHAT_IS_FINISHED, async (signal) => {
        try {
          return await runSweep({
            ...request,
            onPlan: (plan) => context.console.talk(`sweep: ${planSummary(plan)}`),
            onProgress: (done, total) => progress.update(done, total),
            signal,
          });
        } finally {
          progress.stop();
        }
      });
      const { sweep, paths } = await writeSweepFolder(result.sweep, output, target);
      const { headline } = await import('../report/sweep/words.ts');
      const failures = sweep.model.cases.flatMap(({ base, points }) =>
        [base, ...points.filter(({ same_as: same }) => same === null)].flatMap(({ missing }) =>
          missing.filter(({ error }) => error !== null),
        ),
      );
      for (const { replay, error } of failures.slice(0, MOST_SAID)) context.console.talk(`failed: ${replay}: ${error}`);
      if (failures.length > MOST_SAID) context.console.talk(`failed: ${failures.length - MOST_SAID} more`);
      const several = sweep.model.cases.length > 1;
      for (const one of sweep.model.cases) {
        const text = headline(one, sweep.model.mode === 'grid').replaceAll('`', '');
        context.console.talk(several ? `${one.key}: ${text}` : text);
      }
      const [first, ...others] = PAGES.filter((page) => paths.includes(page));
      const also = others.length === 0 ? '' : ` (also ${others.join(', ')})`;
      context.console.talk(`sweep: ${output}/${first}${also}`);
      context.exit(result.interrupted ? ExitCode.interrupted : result.exitCode);
    });
}

function sweepOptions(bundles: readonly string[], options: SweepCommandOptions): SweepOptions {
  if (options.param.length === 0) {
    throw new ConfigError({ source: '--param', reason: 'nothing to sweep, e.g. --param iotlb.entries=32..1024:x2' });
  }
  if (options.grid === true && options.oneAtATime === true) {
    throw new ConfigError({ source: '--grid', reason: 'and --one-at-a-time exclude each other' });
  }
  if (options.output === '-') {
    const reason = "'-' is not standard output here: a sweep is a folder of files; --dry-run prints its points";
    throw new ConfigError({ source: '--output', reason });
  }
  return {
    bundles,
    params: options.param,
    mode: options.grid === true ? 'grid' : 'one-at-a-time',
    hardware: parseNames('--hw', options.hw),
    ...(options.kernel === undefined ? {} : { kernels: parseNames('--kernel', options.kernel) }),
    overrides: options.set,
    ...(options.pace === undefined ? {} : { pacing: parsePacing(options.pace) }),
    workers: parseWorkers(options.workers),
    batchRows: parseCount('--batch-rows', options.batchRows),
    toolVersion: packageVersion(),
  };
}
