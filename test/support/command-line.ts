/** Runs the built command line in this process and catches what it prints. */
import type * as Program from '../../src/cli/program.ts';

/** What a command line did. */
export interface CommandOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `iommu-replay args...` of `dist`. */
export async function commandLine(...args: readonly string[]): Promise<CommandOutcome> {
  const { runProgram } = (await import(new URL('../../dist/cli/program.js', import.meta.url).href)) as typeof Program;
  const stdout: string[] = [];
  const stderr: string[] = [];
  const exitCode = await runProgram(args, {
    data: (text) => stdout.push(text),
    talk: (text) => stderr.push(text),
    error: (text) => stderr.push(text),
    interactive: false,
  });
  return { exitCode, stdout: stdout.join('\n'), stderr: stderr.join('\n') };
}
