// Every transcript that ships is replayed by one of the suites: none is left out in silence.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

it('lists every shipped transcript in a suite', () => {
  const suites = readdirSync(import.meta.dirname)
    .filter((name) => name.startsWith('transcripts-') && !name.startsWith('transcripts-complete'))
    .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
    .join('\n');
  for (const kernel of ['v6.12', 'v7.3']) {
    const files = readdirSync(join(ROOT, 'workloads/conformance', kernel)).filter((name) => name.endsWith('.jsonl.gz'));
    expect(files.length).toBeGreaterThan(20);
    for (const file of files) expect(suites).toMatch(new RegExp(`[' ]${file.replace('.jsonl.gz', '')}'?:`));
  }
});
