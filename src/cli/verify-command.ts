/** `verify`: the model against what was recorded; bundles, or directories of recordings imported on the way. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../input-error.ts';
import type { VerifyResult } from '../replay/verify/result.ts';
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
    .command('verify <bundles...>')
    .description('hold the model against recorded bundles: translations, IOTLB, faults, descriptors, page tables')
    .option('--kernel <profile>', "kernel profile; the recording's own when left out")
    .option('--hw <profile>', "recorder profile; the recording's own when left out")
    .option('--format <format>', 'text | json | md (one table over all)', 'text')
    .action(async (bundles: string[], options: VerifyCommandOptions) => {
      if (!['text', 'json', 'md'].includes(options.format)) {
        throw new ConfigError({ source: '--format', reason: `'${options.format}' is none of text, json, md` });
      }
      const results: VerifyResult[] = [];
      for (const bundle of bundles) {
        const result = await verifyOne(bundle, options);
        results.push(result);
        if (options.format === 'text') context.console.data((await words()).formatVerification(result));
      }
      if (options.format === 'json') {
        const document =
          results.length === 1 ? results[0] : { schemaVersion: results[0]?.schemaVersion, bundles: results };
        context.console.data(JSON.stringify(document, null, 2));
      }
      if (options.format === 'md') context.console.data((await words()).verificationTable(results));
      context.exit(results.every(({ pass }) => pass) ? ExitCode.ok : ExitCode.failed);
    });
}

const words = () => import('../replay/verify/text.ts');

/** A directory without a manifest is a recording: its bundle lives in a temporary folder for as long as it takes. */
async function verifyOne(path: string, options: VerifyCommandOptions): Promise<VerifyResult> {
  const { verifyBundle } = await import('../replay/verify/verify.ts');
  const profiles = { kernel: options.kernel, hardware: options.hw };
  if (existsSync(join(path, 'manifest.json'))) return verifyBundle(path, profiles);
  const { importTrace } = await import('../trace/import/registry.ts');
  const folder = mkdtempSync(join(tmpdir(), 'iommu-replay-'));
  try {
    const output = join(folder, basename(resolve(path)));
    await importTrace({ from: 'recorded', inputs: [path], output, strict: false });
    return verifyBundle(output, profiles);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
