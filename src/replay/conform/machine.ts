/**
 * The machine a transcript runs on: one booted kernel with the parts its setup names. Parts (iommufd, self-test
 * devices, VFIO, VT-d) are modules that bring their operations and the files that `open` finds.
 */
import type { FileReferences } from '../../stack/kernel/file-references.ts';
import type { OpenFile } from '../../stack/kernel/file-table.ts';
import type { Kernel } from '../../stack/kernel/kernel.ts';
import { PageFrames } from '../../stack/kernel/page-frames.ts';
import type { Process } from '../../stack/kernel/process.ts';
import { UserAccount } from '../../stack/kernel/process.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import type { StepArguments } from './step-arguments.ts';

/** What a step returns. */
export interface StepOutcome {
  /** 0 or more, or a negative errno. */
  readonly rc: number;
  /** Output fields in the transcript's form: 64-bit values as hex strings. */
  readonly out?: Readonly<Record<string, unknown>> | undefined;
  /** Values for the names of `as`, in order; only used when the step succeeded. */
  readonly values?: readonly (number | bigint)[];
}

/** What an operation works on. */
export interface StepContext {
  readonly machine: ConformMachine;
  /** The process that makes the call. */
  readonly process: Process;
  readonly args: StepArguments;
  /** Runs the next steps in a forked child. */
  runInChild(steps: number): void;
}

/** Carries out one operation of a transcript. */
export type Operation = (context: StepContext) => StepOutcome;

/** Opens a node for a process: the file, or a negative errno. */
export type Opener = (process: Process, args: StepArguments) => KernelTask<OpenFile | number>;

/** A part of a machine. */
export interface ConformModule {
  /** Called once at boot: adds operations and openers to the machine. */
  install(machine: ConformMachine): void;
}

/** A booted machine. State that outlives a process stays here and in the modules' closures. */
export class ConformMachine {
  readonly kernel: Kernel;
  readonly frames = new PageFrames();
  /** The user every process of the transcript belongs to. */
  readonly user = new UserAccount();
  readonly operations = new Map<string, Operation>();
  /** Openers by path. */
  readonly paths = new Map<string, Opener>();
  /** Openers of device nodes, by the `via` argument ('' = the device's own node). */
  readonly deviceNodes = new Map<string, Opener>();
  /** Called when a sequence begins and its process does not exist yet. */
  readonly sequenceHooks: (() => void)[] = [];

  constructor(kernel: Kernel, modules: readonly ConformModule[]) {
    this.kernel = kernel;
    for (const module of modules) module.install(this);
  }

  /** Runs a task to its end. */
  run<T>(task: KernelTask<T>): T {
    return this.kernel.run(task);
  }
}

/** A file without any behaviour of interest: /dev/zero, standard streams. */
export class PlainFile implements OpenFile {
  readonly file: FileReferences;

  constructor(file: FileReferences) {
    this.file = file;
  }
}

/** A 64-bit value as transcripts write it. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
