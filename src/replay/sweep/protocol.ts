/** A sweep as data: what was varied, and what the replays of each point say. Plain data; quotients are the report's. */
import type { JobResult, Pacing, ProfileCard, WorkloadIdentity } from '../protocol.ts';

/** Each parameter alone around the profile's own values, or all combinations. */
export type SweepMode = 'one-at-a-time' | 'grid';

/** How the values of a range follow each other. */
export type Spacing = 'list' | 'geometric' | 'arithmetic';

/** Whose number a parameter is; `scenario`: how the trace is replayed. */
export type ParamKind = 'hardware' | 'kernel' | 'scenario';

/** One `--param`. */
export interface SweptParam {
  /** As a model card has it (`iotlb.entries`), or the name of a scenario parameter. */
  readonly path: string;
  readonly kind: ParamKind;
  readonly spacing: Spacing;
  /** Values as an override takes them, in the order given. */
  readonly values: readonly string[];
}

/** A parameter in one case: what the profile itself has, and what that rests on. */
export interface OwnValue {
  /** Null: the profile leaves it out, or the recording decides. */
  readonly value: string | null;
  readonly unit: string;
  /** Basis tag and source of a profile's number; null for scenarios. */
  readonly basis: string | null;
  readonly source: string | null;
}

/** A replay that has no result. */
export interface MissingReplay {
  readonly key: string;
  /** Why it failed; null when it was not finished. */
  readonly error: string | null;
}

/** One point of one case. */
export interface SweepPoint {
  /** By parameter; null = the profile's own. */
  readonly values: readonly (string | null)[];
  /** One result a shard; empty when one of them is missing. */
  readonly jobs: readonly JobResult[];
  readonly missing: readonly MissingReplay[];
  /** Index of the point of this case whose replay this is, -1 = the base; null = its own. */
  readonly sameAs: number | null;
}

/** One workload under one hardware profile, kernel profile and scenario. */
export interface SweepCase {
  readonly key: string;
  readonly workload: string;
  readonly hardwareProfile: string;
  readonly kernelProfile: string;
  readonly pacing: Pacing;
  /** By parameter. */
  readonly own: readonly OwnValue[];
  /** The profiles as they are. */
  readonly base: SweepPoint;
  readonly points: readonly SweepPoint[];
}

/** The whole sweep, before presentation. */
export interface SweepResult {
  readonly toolVersion: string;
  readonly mode: SweepMode;
  /** False when a replay is missing. */
  readonly complete: boolean;
  readonly params: readonly SweptParam[];
  readonly workloads: readonly WorkloadIdentity[];
  /** The profiles as they are, with the overrides of the command line. */
  readonly profiles: readonly ProfileCard[];
  /** Jobs that were replayed, each shard counted. */
  readonly replays: number;
  readonly cases: readonly SweepCase[];
}
