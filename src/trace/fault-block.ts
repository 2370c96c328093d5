/** What user space maps for one I/O page fault: `length` of `IOMMU_FAULT_QUEUE_ALLOC`. */
import { PAGE_SIZE } from '../address.ts';

const BASE_PAGE = BigInt(PAGE_SIZE);

/** What is wrong with a `length` [bytes]: it is 0 (a page), or a power of two of at least a page. */
export function faultBlockProblem(lengthBytes: bigint): string | undefined {
  if (lengthBytes === 0n || (lengthBytes >= BASE_PAGE && (lengthBytes & (lengthBytes - 1n)) === 0n)) return undefined;
  return `a fault block of ${lengthBytes} bytes is not a power of two of at least a page`;
}
