/** `validate-model`: the model against published measurements, or against a user's own. */
import type { Command } from 'commander';
import { ConfigError } from '../input-error.ts';
import type { ModelValidation } from '../replay/validate-model/result.ts';
import { ExitCode } from './exit-code.ts';
import { collect, parseCount, parseNames } from './pacing-option.ts';
import type { CommandContext } from './program.ts';
import { packageVersion } from './version.ts';

interface ValidateModelOptions {
  readonly table?: string;
  readonly fit?: string;
  readonly hw?: string;
  readonly set: readonly string[];
  readonly format: string;
  readonly output?: string;
  readonly force?: boolean;
  readonly seed: string;
  readonly samples: string;
  readonly schema?: boolean;
}

const FORMATS = ['text', 'json', 'md'];

/** Registers `validate-model`. */
export function registerValidateModel(program: Command, context: CommandContext): void {
  program
    .command('validate-model')
    .description('hold the model against published measurements, or against your own curve; exit 1 when a point fails')
    .option('--table <file>', 'measured curves of your machine (JSON, see --schema) instead of the published tables')
    .option('--fit <params>', "with --table: propose values of these numbers, e.g. 'singleMissPenaltyNs,iotlb.entries'")
    .option('--hw <profile>', "with --table: hardware profile; the file's own when left out")
    .option('--set <path=value>', 'with --table: override one number of the profile; repeatable', collect, [])
    .option('--format <format>', 'text | json | md', 'text')
    .option('-o, --output <folder>', 'write page, charts, text, Markdown and JSON there')
    .option('--force', 'replace an existing folder')
    .option('--seed <n>', 'seed of the synthetic workloads', '1')
    .option('--samples <n>', 'requests measured at each point', '60000')
    .option('--schema', 'print the JSON Schema of --table files')
    .action(async (options: ValidateModelOptions) => {
      if (!FORMATS.includes(options.format)) {
        throw new ConfigError({ source: '--format', reason: `'${options.format}' is none of ${FORMATS.join(', ')}` });
      }
      if (options.schema === true) {
        const { userTableJsonSchema } = await import('../replay/validate-model/user-table.ts');
        context.console.data(JSON.stringify(userTableJsonSchema(), null, 2));
        return;
      }
      const pages = await import('../report/validate-model/writer.ts');
      if (options.output !== undefined) {
        await pages.checkValidationFolder(options.output, { overwrite: options.force === true });
      }
      const validation = await validate(options);
      context.console.data(printed(validation, options.format, pages));
      if (options.output !== undefined) {
        const target = { overwrite: options.force === true };
        await pages.writeValidationFolder(validation, packageVersion(), options.output, target);
        context.console.talk(`model validation: ${options.output}`);
      }
      context.exit(validation.pass ? ExitCode.ok : ExitCode.failed);
    });
}

async function validate(options: ValidateModelOptions): Promise<ModelValidation> {
  const effort = { seed: parseCount('--seed', options.seed), samples: parseCount('--samples', options.samples) };
  const { validateModel, validation } = await import('../replay/validate-model/validate-model.ts');
  if (options.table === undefined) {
    const stray = [options.fit, options.hw, options.set[0]].find((value) => value !== undefined);
    if (stray !== undefined) {
      throw new ConfigError({ source: 'validate-model', reason: '--fit, --hw and --set need --table' });
    }
    return validateModel(effort);
  }
  const { readUserTable } = await import('../replay/validate-model/user-table.ts');
  const table = readUserTable(options.table);
  const target = { ...(options.hw === undefined ? {} : { profile: options.hw }), overrides: options.set };
  if (options.fit !== undefined) {
    const { fitUserTable } = await import('../replay/validate-model/fit.ts');
    const { before, fit } = fitUserTable(table, parseNames('--fit', options.fit), target, effort);
    return { ...validation([before], effort), fit };
  }
  const { runUserTable } = await import('../replay/validate-model/user-run.ts');
  return validation([runUserTable(table, target, effort)], effort);
}

type Pages = typeof import('../report/validate-model/writer.ts');

function printed(validation: ModelValidation, format: string, pages: Pages): string {
  if (format === 'json') return JSON.stringify(validation, null, 2);
  if (format === 'md') return pages.validationMarkdown(validation, packageVersion(), false);
  return pages.validationText(validation, packageVersion());
}
