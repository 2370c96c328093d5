/** `verify`: the model against what was recorded. */
import type { Command } from 'commander';
import { ExitCode } from './exit-code.ts';
import type { CommandContext } from './program.ts';

interface VerifyCommandOptions {
  readonly kernel?: string;
  readonly hw?: string;
  readonly format: string;
}

/** Registers `verify`. */
export function registerVerify(program: Command, context: CommandContext): void {
  program
    .command('verify <bundle>')
    .description('hold the model against a recorded bundle: translations, IOTLB, faults, descriptors, page tables')
    .option('--kernel <profile>', "kernel profile; the recording's own when left out")
    .option('--hw <profile>', "recorder profile; the recording's own when left out")
    .option('--format <format>', 'text | json', 'text')
    .action(async (bundle: string, options: VerifyCommandOptions) => {
      const { verifyBundle } = await import('../replay/verify/verify.ts');
      const result = verifyBundle(bundle, { kernel: options.kernel, hardware: options.hw });
      if (options.format === 'json') context.console.data(JSON.stringify(result, null, 2));
      else {
        const { formatVerification } = await import('../replay/verify/text.ts');
        context.console.data(formatVerification(result));
      }
      context.exit(result.pass ? ExitCode.ok : ExitCode.failed);
    });
}
