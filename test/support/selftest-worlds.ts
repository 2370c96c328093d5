/** Starting points of the kernel's self-test fixtures. */
import { APERTURE, APERTURE_LAST, type SceneDevice, type SelftestScene, U64_MAX } from './selftest-scene.ts';

/** An IOAS and the mock devices on it. */
export interface IoasWorld {
  readonly ioas: number;
  readonly devices: readonly SceneDevice[];
  /** First and last usable IOVA. */
  readonly base: bigint;
  readonly last: bigint;
}

/**
 * Fixture iommufd_ioas: `no_domain`, `mock_domain`, `two_mock_domain`. `mock_domain_limit` is `mock_domain` with little
 * memory for the kernel's own lists: the model keeps none, so it is the same here.
 */
export function ioasWorld(scene: SelftestScene, variant: string): IoasWorld {
  const ioas = scene.ioas();
  const count = variant === 'no_domain' ? 0 : variant === 'two_mock_domain' ? 2 : 1;
  const devices = Array.from({ length: count }, () => scene.device(ioas));
  return count === 0
    ? { ioas, devices, base: 0n, last: U64_MAX }
    : { ioas, devices, base: APERTURE, last: APERTURE_LAST };
}
