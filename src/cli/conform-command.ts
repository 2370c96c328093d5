/** `conform`: transcripts of real system calls against the modelled kernel, step by step. */
import type { Command } from 'commander';
import { ConfigError } from '../input-error.ts';
import { ExitCode } from './exit-code.ts';
import type { CommandContext } from './program.ts';

interface ConformCommandOptions {
  readonly kernel?: string;
  readonly format: string;
}

/** Registers `conform`. */
export function registerConform(program: Command, context: CommandContext): void {
  program
    .command('conform <transcripts...>')
    .description('replay transcripts of real system calls (.jsonl, .jsonl.gz) and list every step answered differently')
    .option('--kernel <profile>', "kernel profile; what each file's folder says when left out")
    .option('--format <format>', 'text | json', 'text')
    .action(async (transcripts: string[], options: ConformCommandOptions) => {
      if (!['text', 'json'].includes(options.format)) {
        throw new ConfigError({ source: '--format', reason: `'${options.format}' is none of text, json` });
      }
      const { conformFiles } = await import('../replay/conform/conform.ts');
      const result = conformFiles(transcripts, options.kernel === undefined ? {} : { kernel: options.kernel });
      if (options.format === 'json') {
        context.console.data(JSON.stringify(result, null, 2));
      } else {
        const { formatConformance } = await import('../replay/conform/text.ts');
        context.console.data(formatConformance(result));
      }
      context.exit(result.totals.mismatches === 0 ? ExitCode.ok : ExitCode.failed);
    });
}
