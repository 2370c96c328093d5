/** One small bundle of every format version, written once and kept: what could be read stays readable. */
import { expect, test } from 'vitest';
import { BundleReader } from '../../../src/trace/reader.ts';
import { FORMAT_VERSION } from '../../../src/trace/schema/manifest.ts';
import { validateBundle } from '../../../src/trace/validate.ts';

const versions = Array.from({ length: FORMAT_VERSION }, (_, index) => index + 1);

test.each(versions)('a bundle of format version %d is still read as it was written', (version) => {
  const path = new URL(`../../fixtures/bundle-v${version}`, import.meta.url).pathname;
  expect(validateBundle(path)).toEqual({ valid: true, problems: [] });
  const bundle = BundleReader.open(path);
  const control = [...bundle.stream('control').rows()].map(({ op, iova, afterDma }) => `${op} ${iova} ${afterDma}`);
  const dma = [...bundle.stream('dma-0').rows()].map(({ iova, bytes, flags }) => `${iova} ${bytes} ${flags}`);
  const frames = [...bundle.stream('frames').rows()].map(({ controlRow, pfn }) => `${controlRow} ${pfn}`);
  const given = bundle.optionalStream('user-data')?.rows() ?? [];
  const userData = [...given].map((row) => `${row.controlRow} ${row.kind} ${row.address} ${row.value} ${row.count}`);
  expect({ control, dma, frames, ...(userData.length === 0 ? {} : { userData }) }).toMatchSnapshot();
});
