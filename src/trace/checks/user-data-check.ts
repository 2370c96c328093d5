/** Checks `user-data.arrow`: each row belongs to an event of its kind and says something that can be. */
import { nsFromWords } from '../../units.ts';
import type { BundleReader } from '../reader.ts';
import { USER_DATA_KINDS, type UserDataKind } from '../schema/user-data-stream.ts';
import type { ControlFacts } from './control-check.ts';
import type { FileProblems } from './problems.ts';

/** [rows] Rows looked at between two loads. */
const CHUNK_ROWS = 16_384;
/** [bits] 4 and 5 levels (IOMMU_HWPT_DATA_VTD_S1: others are refused when they are attached). */
const MAX_ADDRESS_WIDTH = 64;

/** Event that a kind of user data goes with. */
const OP_OF: Readonly<Record<UserDataKind, string>> = {
  vtd_s1: 'IOMMU_HWPT_ALLOC',
  vtd_s1_invalidate: 'IOMMU_HWPT_INVALIDATE',
  words: 'user_store',
};

/** Checks order, references and contents. */
export function checkUserData(bundle: BundleReader, control: ControlFacts, problems: FileProblems): void {
  const stream = bundle.optionalStream('user-data');
  if (stream === undefined) return;
  const kinds = stream.dictionary('kind');
  for (const kind of kinds) {
    if (!USER_DATA_KINDS.some((known) => known === kind)) {
      problems.error(undefined, `kind ${kind}`, () => `unknown kind '${kind}'`);
    }
  }
  let lastRow = 0;
  for (const { firstRow, rowCount, columns } of stream.chunks(CHUNK_ROWS)) {
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      const controlRow = columns.controlRow[i]!;
      if (controlRow < lastRow) problems.error(row, 'order', () => `control row ${controlRow} comes after ${lastRow}`);
      lastRow = controlRow;
      const kind = kinds[columns.kind[i]!] as UserDataKind | undefined;
      if (controlRow >= control.rowCount) {
        problems.error(row, 'reference', () => `control row ${controlRow} does not exist`);
      } else if (kind !== undefined && OP_OF[kind] !== undefined && control.ops[controlRow] !== OP_OF[kind]) {
        problems.error(row, 'reference', () => `${kind} belongs to no ${control.ops[controlRow]}`);
      }
      const count = nsFromWords(columns.count[2 * i]!, columns.count[2 * i + 1]!);
      if (kind === 'words' && (columns.address[2 * i]! & 7) !== 0) {
        problems.error(row, 'alignment', () => 'words are not aligned to 8 bytes');
      }
      if (count === 0 || (kind === 'vtd_s1' && count > MAX_ADDRESS_WIDTH)) {
        problems.error(row, 'count', () => `a count of ${count}`);
      }
    }
  }
}
