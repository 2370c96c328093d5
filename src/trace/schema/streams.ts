/**
 * The bundle format, version 2: which streams exist. Their columns, and what each column means, are in the files beside
 * this one; docs/trace-format.md explains them.
 *
 * `sequence` is the bundle-wide position of a row: all rows of all streams with a sequence column are totally ordered by
 * it. It is the recorder's own order, whatever the clocks say.
 */
import type { StreamSchema } from './column-type.ts';
import { CONTROL_SCHEMA } from './control-stream.ts';
import { DMA_SCHEMA } from './dma-stream.ts';
import { FRAMES_SCHEMA } from './frames-stream.ts';
import { INITIAL_SCHEMA } from './initial-stream.ts';
import {
  OBSERVED_DMA_SCHEMA,
  OBSERVED_HARDWARE_SCHEMA,
  OBSERVED_SUBMISSIONS_SCHEMA,
  OBSERVED_TABLES_SCHEMA,
} from './observed-streams.ts';
import { USER_DATA_SCHEMA } from './user-data-stream.ts';

/** Schemas of the streams of which a bundle has one. */
export const SINGLE_STREAMS = {
  control: CONTROL_SCHEMA,
  frames: FRAMES_SCHEMA,
  initial: INITIAL_SCHEMA,
  'user-data': USER_DATA_SCHEMA,
  'observed-submissions': OBSERVED_SUBMISSIONS_SCHEMA,
  'observed-hardware': OBSERVED_HARDWARE_SCHEMA,
  'observed-tables': OBSERVED_TABLES_SCHEMA,
} as const;

/** Name of a stream: the file is `<name>.arrow`; the number is an index into `topology.units`. */
export type StreamName = keyof typeof SINGLE_STREAMS | `dma-${number}` | `observed-dma-${number}`;

/** Schema type of a stream name. */
export type SchemaOf<N extends StreamName> = N extends keyof typeof SINGLE_STREAMS
  ? (typeof SINGLE_STREAMS)[N]
  : N extends `observed-dma-${number}`
    ? typeof OBSERVED_DMA_SCHEMA
    : typeof DMA_SCHEMA;

/** Streams that every bundle has, be they empty. */
export const REQUIRED_STREAMS = ['control', 'frames'] as const;

/** Schema of a stream; undefined when the name is none of the format's. */
export function streamSchema(name: string): StreamSchema | undefined {
  if (/^dma-\d+$/.test(name)) return DMA_SCHEMA;
  if (/^observed-dma-\d+$/.test(name)) return OBSERVED_DMA_SCHEMA;
  return Object.hasOwn(SINGLE_STREAMS, name) ? SINGLE_STREAMS[name as keyof typeof SINGLE_STREAMS] : undefined;
}
