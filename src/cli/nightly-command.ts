/** `nightly`: replays a plan, appends the result to a history, rebuilds the dashboard. */
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Dashboard } from '../history/dashboard/schema.ts';
import type { NightlyEntry } from '../history/entry.ts';
import type { NightlyPlan } from '../history/plan.ts';
import { ConfigError } from '../input-error.ts';
import { ExitCode } from './exit-code.ts';
import { parseChoice } from './format-option.ts';
import { withInterrupt } from './interrupt.ts';
import { parseWorkers } from './pacing-option.ts';
import type { CommandContext } from './program.ts';
import { createProgress } from './progress.ts';
import { withScratchFolder } from './scratch-folder.ts';
import { packageVersion } from './version.ts';

interface NightlyCommandOptions {
  readonly history: string;
  readonly workers?: string;
  readonly label?: string;
  readonly commit?: string;
  readonly date?: string;
  readonly base?: string;
  readonly dryRun?: boolean;
  readonly rebuild?: boolean;
  readonly format: string;
}

const FORMATS = ['text', 'json', 'md'] as const;

/** Longest label, in characters: it is part of tables. */
const MAX_LABEL = 80;

/** Registers `nightly`. */
export function registerNightly(program: Command, context: CommandContext): void {
  program
    .command('nightly <plan>')
    .description('replay a plan, append the result to a history and rebuild its dashboard; exit 99 when a gate fails')
    .requiredOption('--history <folder>', 'folder of the history; made when missing')
    .option('--workers <n>', 'worker threads; 0 replays in this thread; all cores when left out')
    .option('--label <text>', 'words for the entry, such as a branch')
    .option('--commit <sha>', 'commit that the entry is about')
    .option('--date <yyyy-mm-dd>', 'date of the entry; today (UTC) when left out')
    .option('--base <id>', 'hold changes against this entry instead of the newest that passed')
    .option('--dry-run', 'print what would be replayed, and do nothing')
    .option('--rebuild', 'rebuild the dashboard from the entries, and replay nothing')
    .option('--format <format>', 'text | json | md: how the dashboard is printed', 'text')
    .action(async (file: string, options: NightlyCommandOptions) => {
      const format = parseChoice('--format', options.format, FORMATS) ?? 'text';
      if (options.rebuild === true && options.dryRun === true) {
        throw new ConfigError({ source: '--rebuild', reason: 'and --dry-run exclude each other' });
      }
      const stamp = entryStamp(options);
      const workers = parseWorkers(options.workers);
      const [{ readPlan }, { checkHistoryFolder }] = await Promise.all([
        import('../history/plan.ts'),
        import('../history/history-folder.ts'),
      ]);
      const plan = readPlan(file);
      await checkHistoryFolder(options.history);
      if (options.dryRun === true) {
        const { dryRunText } = await import('../history/dry-run.ts');
        context.console.data(dryRunText(plan, options.history, options.base));
        return;
      }
      if (options.rebuild !== true) {
        const entry = await replayNight(plan, options, { ...stamp, workers }, context);
        if (entry === null) {
          context.console.talk('interrupted: nothing was appended to the history');
          context.exit(ExitCode.interrupted);
          return;
        }
        for (const { run, job, error } of entry.failures) context.console.talk(`failed: ${run}: ${job}: ${error}`);
        context.console.talk(`appended entry ${entry.id}`);
        context.exit(exitCodeOf(entry));
      }
      const pages = await import('../history/dashboard/writer.ts');
      const dashboard = await pages.writeDashboard(options.history, plan, packageVersion());
      context.console.data(printed(dashboard, format, pages));
      context.console.talk(`dashboard: ${join(options.history, 'index.html')}`);
      if (options.rebuild === true) context.exit(ExitCode.ok);
    });
}

interface Night {
  readonly date: string;
  readonly label: string | null;
  readonly commit: string | null;
  readonly workers: number;
}

async function replayNight(
  plan: NightlyPlan,
  { history, base }: NightlyCommandOptions,
  night: Night,
  context: CommandContext,
): Promise<NightlyEntry | null> {
  const { runNightly } = await import('../history/nightly.ts');
  const progress = await createProgress(context.console, 'replaying');
  try {
    return await withScratchFolder('iommu-replay-nightly-', (scratch) =>
      withInterrupt('nothing will be appended', (signal) =>
        runNightly({
          plan,
          history,
          base,
          scratch,
          ...night,
          toolVersion: packageVersion(),
          onBegin: () => context.console.talk(`replaying ${plan.file}`),
          onProgress: (done, total) => progress.update(done, total),
          signal,
        }),
      ),
    );
  } finally {
    progress.stop();
  }
}

/** A job that failed weighs more than a gate: what was not replayed cannot be said to be worse. */
function exitCodeOf({ verdict }: NightlyEntry): number {
  switch (verdict) {
    case 'pass':
      return ExitCode.ok;
    case 'fail':
      return ExitCode.threshold;
    case 'incomplete':
      return ExitCode.failed;
  }
}

/** The words of the command line about the entry; throws ConfigError. */
function entryStamp({ date, label, commit }: NightlyCommandOptions): Omit<Night, 'workers'> {
  if (date !== undefined && !isDate(date)) {
    throw new ConfigError({ source: '--date', reason: `'${date}' is no date of the form YYYY-MM-DD` });
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (label !== undefined && (label === '' || label.length > MAX_LABEL || /[\u0000-\u001f\u007f]/.test(label))) {
    throw new ConfigError({ source: '--label', reason: `not one line of 1 to ${MAX_LABEL} characters` });
  }
  if (commit !== undefined && !/^[\w./-]{1,80}$/.test(commit)) {
    throw new ConfigError({ source: '--commit', reason: `'${commit}' is no name of a commit` });
  }
  return { date: date ?? new Date().toISOString().slice(0, 10), label: label ?? null, commit: commit ?? null };
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const parsed = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(text);
}

type Pages = typeof import('../history/dashboard/writer.ts');

function printed(dashboard: Dashboard, format: (typeof FORMATS)[number], pages: Pages): string {
  switch (format) {
    case 'json':
      return pages.dashboardJson(dashboard);
    case 'md':
      return pages.dashboardMarkdown(dashboard, false);
    case 'text':
      return pages.dashboardText(dashboard);
  }
}
