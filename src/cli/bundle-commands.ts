/** `inspect`, `validate`, `anonymize`: what can be said and done about a bundle without replaying it. */
import type { Command } from 'commander';
import { ExitCode } from './exit-code.ts';
import type { CommandContext } from './program.ts';

interface FormatOption {
  readonly format: string;
}

/** Registers the bundle commands. */
export function registerBundleCommands(program: Command, context: CommandContext): void {
  program
    .command('inspect <bundle>')
    .description('what a bundle holds, where it comes from and what it can answer')
    .option('--format <format>', 'text | json', 'text')
    .action(async (bundle: string, options: FormatOption) => {
      const { inspectBundle, formatInspection } = await import('../trace/inspect.ts');
      const inspection = inspectBundle(bundle);
      context.console.data(
        options.format === 'json' ? JSON.stringify(inspection, null, 2) : formatInspection(inspection),
      );
    });

  program
    .command('validate <bundle>')
    .description('check digests, counts, columns, order and references of a bundle')
    .option('--format <format>', 'text | json', 'text')
    .action(async (bundle: string, options: FormatOption) => {
      const { validateBundle } = await import('../trace/validate.ts');
      const result = validateBundle(bundle);
      if (options.format === 'json') context.console.data(JSON.stringify(result, null, 2));
      else {
        for (const problem of result.problems) {
          const row = problem.row === undefined ? '' : ` row ${problem.row}:`;
          context.console.data(`${problem.severity}: ${problem.file}:${row} ${problem.reason}`);
        }
        context.console.data(result.valid ? `${bundle}: valid` : `${bundle}: invalid`);
      }
      context.exit(result.valid ? ExitCode.ok : ExitCode.input);
    });

  program
    .command('anonymize <bundle>')
    .description('a copy with addresses, device and thread names replaced consistently')
    .requiredOption('-o, --output <bundle>', 'bundle folder to write')
    .option('--seed <n>', 'seed of the remapping', Number, 1)
    .option('--force', 'replace an existing bundle')
    .action(async (bundle: string, options: { output: string; seed: number; force?: boolean }) => {
      const { anonymizeBundle } = await import('../trace/anonymize.ts');
      await anonymizeBundle(bundle, options.output, { seed: options.seed, overwrite: options.force === true });
      context.console.talk(`wrote ${options.output}`);
    });
}
