/** `gate`: a run held against a file of thresholds. */
import type { Command } from 'commander';
import { ConfigError } from '../input-error.ts';
import type { GateReport } from '../report/gate/schema.ts';
import { ExitCode, type ExitCodeValue } from './exit-code.ts';
import { parseChoice } from './format-option.ts';
import { gateLines, incompleteLines } from './gate-talk.ts';
import type { CommandContext } from './program.ts';
import { packageVersion } from './version.ts';

interface GateOptions {
  readonly thresholds: string;
  readonly base?: string;
  readonly acrossTraces?: boolean;
  readonly format: string;
}

const FORMATS = ['text', 'json', 'md'] as const;

/** Registers `gate`. */
export function registerGate(program: Command, context: CommandContext): void {
  program
    .command('gate <run>')
    .description('hold a run folder against thresholds; exit 99 when one is breached or cannot be evaluated')
    .requiredOption('--thresholds <file>', 'threshold file (JSON, docs/gates.md)')
    .option('--base <run>', 'run folder that thresholds on changes are about')
    .option('--across-traces', 'also judge changes from a base that replays another trace')
    .option('--format <format>', 'text | json | md', 'text')
    .action(async (run: string, options: GateOptions) => {
      const format = parseChoice('--format', options.format, FORMATS);
      if (options.acrossTraces === true && options.base === undefined) {
        throw new ConfigError({ source: '--across-traces', reason: 'is about the traces of a base; give --base' });
      }
      const [{ gateJson, gateMarkdown, gateReport, gateText }, { loadReport }, { readThresholds }] = await Promise.all([
        import('../report/gate/gate-report.ts'),
        import('../report/load-report.ts'),
        import('../report/metrics/thresholds.ts'),
      ]);
      const thresholds = readThresholds(options.thresholds);
      const load = (folder: string) => ({ folder, model: loadReport(folder).model });
      const base = options.base === undefined ? undefined : load(options.base);
      const gated = load(run);
      const report = gateReport(gated, base, thresholds, packageVersion(), {
        acrossTraces: options.acrossTraces === true,
      });
      const print = { text: gateText, json: gateJson, md: gateMarkdown }[format ?? 'text'];
      context.console.data(print(report));
      const runs = base === undefined ? [gated] : [base, gated];
      const incomplete = incompleteLines(runs.map(({ folder, model }) => ({ ...model, folder })));
      for (const line of [...gateLines(report.gates), ...incomplete]) context.console.talk(line);
      context.exit(exitCodeOf(report));
    });
}

function exitCodeOf({ pass, complete }: GateReport): ExitCodeValue {
  if (!pass) return ExitCode.threshold;
  return complete ? ExitCode.ok : ExitCode.incomplete;
}
