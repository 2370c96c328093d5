/** The command line: one file a command, loaded when it is called, and one place that turns errors into exit codes. */
import { Command, CommanderError } from 'commander';
import { ConfigError, InputError } from '../input-error.ts';
import { registerBundleCommands } from './bundle-commands.ts';
import { registerCompare } from './compare-command.ts';
import { registerConform } from './conform-command.ts';
import { type Console, processConsole } from './console.ts';
import { ExitCode } from './exit-code.ts';
import { registerGate } from './gate-command.ts';
import { registerImport } from './import-command.ts';
import { registerNightly } from './nightly-command.ts';
import { registerProfiles } from './profiles-command.ts';
import { registerReplace } from './replace-command.ts';
import { registerReport } from './report-command.ts';
import { registerRun } from './run-command.ts';
import { registerSweep } from './sweep-command.ts';
import { registerSynth } from './synth-command.ts';
import { registerValidateModel } from './validate-model-command.ts';
import { registerVerify } from './verify-command.ts';
import { packageVersion } from './version.ts';

/** What a command's action gets besides its own arguments. */
export interface CommandContext {
  readonly console: Console;
  /** Sets the exit code of a command that ends normally but has something to say by it. */
  exit(code: number): void;
}

/** Runs one command line (without node and script name); resolves to the exit code. Never throws. */
export async function runProgram(args: readonly string[], console?: Console): Promise<number> {
  const quiet = args.includes('-q') || args.includes('--quiet');
  const out = console ?? processConsole(quiet);
  let exitCode: number = ExitCode.ok;
  const context: CommandContext = {
    console: out,
    exit(code) {
      exitCode = code;
    },
  };

  const program = new Command('iommu-replay')
    .description('Replays recorded DMA and IOMMU control-plane traces through modelled Linux kernels and IOMMUs.')
    .option('-q, --quiet', 'nothing but data and errors')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => out.data(text),
      writeErr: (text) => out.error(text),
    })
    .showSuggestionAfterError(true);

  registerImport(program, context);
  registerSynth(program, context);
  registerBundleCommands(program, context);
  registerRun(program, context);
  registerReplace(program, context);
  registerCompare(program, context);
  registerGate(program, context);
  registerSweep(program, context);
  registerReport(program, context);
  registerNightly(program, context);
  registerVerify(program, context);
  registerValidateModel(program, context);
  registerConform(program, context);
  registerProfiles(program, context);
  program
    .command('version')
    .description('print the version')
    .action(() => out.data(packageVersion()));

  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    return reportError(error, out);
  }
}

/** Prints one clear message for `error` and returns its documented exit code. */
function reportError(error: unknown, out: Console): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
  if (error instanceof InputError || error instanceof ConfigError) {
    out.error(`error: ${error.message}`);
    return error.exitCode;
  }
  out.error(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return ExitCode.failed;
}
