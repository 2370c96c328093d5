/** Neither the batches of a file nor the size of chunks changes what is read. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DmaRow, openTestBundle } from '../support/replay-bundle.ts';

test('any range in chunks of any size holds the rows of the stream', async () => {
  const size = fc.integer({ min: 1, max: 40 });
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 60 }),
      size,
      size,
      fc.nat({ max: 70 }),
      fc.nat({ max: 70 }),
      async (count, batchRows, chunkRows, fromRow, toRow) => {
        const rows: DmaRow[] = Array.from({ length: count }, (_, i) => ({ kind: 'dma', device: 0, iova: i * 4096 }));
        const bundle = await openTestBundle({ devices: [{}], rows, batchRows });
        const read: number[] = [];
        const sizes: number[] = [];
        for (const chunk of bundle.stream('dma-0').chunks(chunkRows, { fromRow, toRow })) {
          expect(chunk.firstRow).toBe(fromRow + read.length);
          for (let i = 0; i < chunk.rowCount; i++) {
            expect(chunk.columns.sequence[i]).toBe(chunk.firstRow + i);
            read.push(chunk.columns.iova[2 * i]! / 4096);
          }
          sizes.push(chunk.rowCount);
        }
        bundle.close();
        expect(read).toEqual(rows.map((_, i) => i).slice(fromRow, toRow));
        expect(sizes.slice(0, -1).every((rowCount) => rowCount === chunkRows)).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});
