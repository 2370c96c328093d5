/** `compare`: two runs held against each other, and conditions on what changed. */
import type { Command } from 'commander';
import type { Comparison } from '../report/compare/comparison.ts';
import { plural } from '../report/format.ts';
import { ExitCode, type ExitCodeValue } from './exit-code.ts';
import { parseChoice } from './format-option.ts';
import { collect } from './pacing-option.ts';
import type { CommandContext } from './program.ts';
import { packageVersion } from './version.ts';

interface CompareOptions {
  readonly failOn: readonly string[];
  readonly output?: string;
  readonly format?: string;
  readonly force?: boolean;
}

const FORMATS = ['text', 'json', 'md'] as const;

/** Registers `compare`. */
export function registerCompare(program: Command, context: CommandContext): void {
  program
    .command('compare <base> <new>')
    .description(
      'hold a run folder against another: configuration, every number, and conditions that fail with exit 99',
    )
    .option(
      '--fail-on <condition>',
      "exit 99 when it is met in any case, e.g. 'dma_latency_ns.p99 > +2%'; repeatable",
      collect,
      [],
    )
    .option('-o, --output <folder>', 'write page, charts, text, Markdown and JSON there')
    .option('--format <format>', 'text | json | md on standard output; text without -o, nothing with it')
    .option('--force', 'replace an existing comparison')
    .action(async (base: string, run: string, options: CompareOptions) => {
      const format = parseChoice('--format', options.format, FORMATS) ?? (options.output === undefined ? 'text' : null);
      const [{ buildComparison }, pages, { loadReport }, { failOnThresholds }, { compareJson }] = await Promise.all([
        import('../report/compare/comparison.ts'),
        import('../report/compare/writer.ts'),
        import('../report/load-report.ts'),
        import('../report/metrics/thresholds.ts'),
        import('../report/compare/schema.ts'),
      ]);
      const overwrite = options.force === true;
      const thresholds = failOnThresholds(options.failOn);
      if (options.output !== undefined) await pages.checkCompareFolder(options.output, overwrite);
      const [before, after] = [base, run].map((folder) => ({ folder, ...loadReport(folder) }));
      const comparison = buildComparison(before!, after!, thresholds, packageVersion());
      const { model } = comparison;
      if (options.output !== undefined) {
        await pages.writeCompareFolder(comparison, options.output, overwrite);
        context.console.talk(model.sentence);
        context.console.talk(`comparison: ${options.output}/index.html (also compare.txt, compare.md, compare.json)`);
      }
      if (format === 'json') context.console.data(compareJson(model));
      else if (format === 'md') context.console.data(pages.compareMarkdown(model, false));
      else if (format === 'text') context.console.data(pages.compareText(model));
      for (const gate of model.gates.filter(({ verdict }) => verdict !== 'pass')) {
        context.console.talk(`${gate.verdict}: ${gate.condition} (${gate.case ?? 'no case'})`);
      }
      for (const { folder, complete, missing } of [model.base, model.new]) {
        if (!complete) context.console.talk(`incomplete: ${folder} (${plural(missing.length, 'job')} missing)`);
      }
      context.exit(exitCodeOf(comparison));
    });
}

/** A condition that was met outweighs a run that is incomplete: it says something all the same. */
function exitCodeOf({ model }: Comparison): ExitCodeValue {
  if (model.pass === false) return ExitCode.threshold;
  return model.base.complete && model.new.complete ? ExitCode.ok : ExitCode.incomplete;
}
