/** `import`: recorded sources to a bundle. */
import type { Command } from 'commander';
import type { CommandContext } from './program.ts';

interface ImportOptions {
  readonly from?: string;
  readonly output: string;
  readonly strict?: boolean;
  readonly force?: boolean;
  readonly seed?: number;
  readonly format: string;
}

/** Registers `import`. */
export function registerImport(program: Command, context: CommandContext): void {
  program
    .command('import <inputs...>')
    .description('encode recorded traces as a bundle; "-" reads standard input')
    .option('--from <importer>', 'recorded | ftrace | qemu | control-log; guessed from the input when left out')
    .requiredOption('-o, --output <bundle>', 'bundle folder to write')
    .option('--strict', 'treat unknown or malformed records as an error instead of counting them')
    .option('--seed <n>', 'seed of the access synthesis', Number, 1)
    .option('--force', 'replace an existing bundle')
    .option('--format <format>', 'text | json: how the summary is printed', 'text')
    .action(async (inputs: string[], options: ImportOptions) => {
      const { importTrace } = await import('../trace/import/registry.ts');
      const summary = await importTrace({
        inputs,
        output: options.output,
        strict: options.strict === true,
        overwrite: options.force === true,
        seed: options.seed ?? 1,
        ...(options.from === undefined ? {} : { from: options.from }),
      });
      if (options.format === 'json') context.console.data(JSON.stringify(summary, null, 2));
      else {
        const { formatImportSummary } = await import('../trace/import/summary.ts');
        context.console.talk(formatImportSummary(summary));
      }
    });
}
