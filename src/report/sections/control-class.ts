/** What kind of change a control-plane call is, by its name in the trace (uapi request or kernel function). */

/** Classes that markers and tables are grouped by. */
export type ControlClass = 'map' | 'unmap' | 'domain change' | 'dirty tracking' | 'reset' | 'object' | 'other';

/** Order of legends and tables. */
export const CONTROL_CLASSES: readonly ControlClass[] = [
  'map',
  'unmap',
  'domain change',
  'dirty tracking',
  'reset',
  'object',
  'other',
];

const PATTERNS: readonly (readonly [RegExp, ControlClass])[] = [
  [/DIRTY/i, 'dirty tracking'],
  [/RESET/i, 'reset'],
  // A guest tells that it has taken mappings of its own away.
  [/UNMAP|dma_free|HWPT_INVALIDATE/i, 'unmap'],
  [/_MAP|IOAS_COPY|dma_alloc|user_store/i, 'map'],
  [/ATTACH|DETACH|REPLACE|SET_IOMMU|SET_CONTAINER|UNSET_CONTAINER/i, 'domain change'],
  [/ALLOC|DESTROY|^open_|^close|BIND_IOMMUFD|GET_DEVICE_FD|driver_(un)?bind/i, 'object'],
];

/** Class of `op`; names that no pattern knows are `other`. */
export function controlClass(op: string): ControlClass {
  for (const [pattern, name] of PATTERNS) if (pattern.test(op)) return name;
  return 'other';
}

/** Short name for legends and narrow tables: `VFIO_DEVICE_ATTACH_IOMMUFD_PT` is `ATTACH_IOMMUFD_PT`. */
export function shortOpName(op: string): string {
  return op.replace(/^(VFIO_DEVICE_|VFIO_IOMMU_|VFIO_GROUP_|VFIO_|IOMMU_)/, '');
}
