/** `synth`: a seeded synthetic bundle from a recipe. */
import type { Command } from 'commander';
import type { CommandContext } from './program.ts';

/** Registers `synth`. */
export function registerSynth(program: Command, context: CommandContext): void {
  program
    .command('synth <recipe>')
    .description('write a synthetic bundle from a recipe file; the same recipe gives the same bytes')
    .requiredOption('-o, --output <bundle>', 'bundle folder to write')
    .option('--rows <n>', 'override the number of DMA rows', Number)
    .option('--force', 'replace an existing bundle')
    .action(async (recipe: string, options: { output: string; rows?: number; force?: boolean }) => {
      const { synthesize } = await import('../trace/synth/synthesize.ts');
      const summary = await synthesize(recipe, options.output, {
        overwrite: options.force === true,
        ...(options.rows === undefined ? {} : { rows: options.rows }),
      });
      context.console.talk(`wrote ${options.output}: ${summary.dmaRows} DMA rows, ${summary.controlRows} control rows`);
    });
}
