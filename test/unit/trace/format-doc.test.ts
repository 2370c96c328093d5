import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { StreamSchema } from '../../../src/trace/schema/column-type.ts';
import { CONTROL_OPS } from '../../../src/trace/schema/control-ops.ts';
import { DMA_SCHEMA } from '../../../src/trace/schema/dma-stream.ts';
import { OBSERVED_DMA_SCHEMA } from '../../../src/trace/schema/observed-streams.ts';
import { SINGLE_STREAMS } from '../../../src/trace/schema/streams.ts';

const doc = readFileSync(new URL('../../../docs/trace-format.md', import.meta.url), 'utf8');
const schemas: [string, StreamSchema][] = [
  ...Object.entries(SINGLE_STREAMS),
  ['dma-<unit>', DMA_SCHEMA],
  ['observed-dma-<unit>', OBSERVED_DMA_SCHEMA],
];

test.each(schemas)('the page on the format lists the columns of %s in order, with their types', (name, schema) => {
  const section = doc.split(`\n## \`${name}.arrow\`\n`)[1]!.split('\n## ')[0]!;
  const columns: [string, string][] = [];
  for (const [, names, type] of section.matchAll(/^\| (`[^|]+) \| (u8|u16|u32|u64|i32|dictionary) *\|/gm)) {
    const listed = [...names!.matchAll(/`(\w+)`/g)].map(([, column]) => column!);
    const range = names!.includes('…') ? ['word0', 'word1', 'word2', 'word3'] : listed;
    for (const column of range) columns.push([column, type!]);
  }
  expect(columns).toEqual(Object.entries(schema));
});

test('the page on the format names every control event', () => {
  for (const op of CONTROL_OPS) expect(doc).toContain(`\`${op}\``);
});
