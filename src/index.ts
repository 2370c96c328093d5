/** Public API of iommu-replay. */
export { ConfigError, InputError } from './input-error.ts';
export type { JobResult, JobSpec, Pacing, ProfileCard, RunResult } from './replay/protocol.ts';
export { RUN_SCHEMA_VERSION } from './replay/protocol.ts';
export type { RunOptions, RunOutcome } from './replay/run.ts';
export { runReplay } from './replay/run.ts';
export { loadRun, serializeRun } from './replay/run-folder.ts';
export { BundleReader } from './trace/reader.ts';
export type { Manifest } from './trace/schema/manifest.ts';
