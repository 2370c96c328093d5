/** Runs one sequence of a transcript on a machine and compares step by step. */
import type { Process } from '../../stack/kernel/process.ts';
import { compareStep, type StepDifference } from './compare.ts';
import type { ConformMachine, StepContext } from './machine.ts';
import { exitProcess, forkProcess, startProcess } from './process-image.ts';
import { StepArguments } from './step-arguments.ts';
import { Symbols } from './symbols.ts';
import type { TranscriptSequence, TranscriptStep } from './transcript.ts';

/** A step whose result differs from the recorded one. */
export interface StepMismatch extends StepDifference {
  readonly seq: string;
  readonly step: number;
  readonly op: string;
}

/** Outcome of a sequence. */
export interface SequenceResult {
  /** Steps whose result equals the recorded one in every field. */
  readonly matched: number;
  readonly mismatches: readonly StepMismatch[];
}

/** Runs the steps in a fresh process. A step whose operation the setup does not have counts as a mismatch. */
export function runSequence(machine: ConformMachine, file: string, sequence: TranscriptSequence): SequenceResult {
  for (const hook of machine.sequenceHooks) hook();
  const parent = startProcess(machine, sequence.name);
  const symbols = new Symbols(file);
  const mismatches: StepMismatch[] = [];
  let matched = 0;
  let child: { readonly process: Process; left: number } | undefined;
  for (const step of sequence.steps) {
    const process = child?.process ?? parent;
    let stepsInChild = 0;
    const context: StepContext = {
      machine,
      process,
      args: new StepArguments(step.args, symbols),
      runInChild: (steps) => {
        stepsInChild = steps;
      },
    };
    const differences = runStep(machine, step, context, symbols);
    if (differences.length === 0) matched++;
    for (const each of differences) mismatches.push({ seq: sequence.name, step: step.step, op: step.op, ...each });
    if (child !== undefined && --child.left === 0) {
      exitProcess(machine, child.process);
      child = undefined;
    }
    if (stepsInChild > 0) child = { process: forkProcess(machine, process), left: stepsInChild };
  }
  if (child !== undefined) exitProcess(machine, child.process);
  exitProcess(machine, parent);
  return { matched, mismatches };
}

function runStep(
  machine: ConformMachine,
  step: TranscriptStep,
  context: StepContext,
  symbols: Symbols,
): StepDifference[] {
  const operation = machine.operations.get(step.op);
  if (operation === undefined) {
    return [{ field: 'op', expected: step.op, actual: 'no such operation in this setup' }];
  }
  const outcome = operation(context);
  if (outcome.rc >= 0) {
    for (const [index, name] of (step.as ?? []).entries()) {
      const value = outcome.values?.[index];
      if (value !== undefined) symbols.set(name, value);
    }
  }
  return compareStep(step, outcome);
}
