/** `report`: renders the report of a run folder again, in other formats or elsewhere. */
import type { Command } from 'commander';
import { parseNames } from './pacing-option.ts';
import type { CommandContext } from './program.ts';

interface ReportOptions {
  readonly output: string;
  readonly format: string;
  readonly force?: boolean;
}

/** Registers `report`. */
export function registerReport(program: Command, context: CommandContext): void {
  program
    .command('report <run>')
    .description('write the report of a run folder')
    .requiredOption('-o, --output <folder>', 'folder to write')
    .option('--format <formats>', 'html,json,text,md', 'html,json,text,md')
    .option('--force', 'replace an existing folder')
    .action(async (run: string, options: ReportOptions) => {
      const [{ loadRun }, { writeRunFolder }] = await Promise.all([
        import('../replay/run-folder.ts'),
        import('../report/writer.ts'),
      ]);
      await writeRunFolder(loadRun(run), options.output, {
        formats: parseNames('--format', options.format),
        overwrite: options.force === true,
        keepRun: false,
      });
      context.console.talk(`report: ${options.output}`);
    });
}
