/** Which architectures have a driver, by the name a topology uses. */

/** Architectures with a modelled driver. */
export const DRIVER_ARCHITECTURES = ['intel', 'mock'] as const;

/** A name in {@link DRIVER_ARCHITECTURES}. */
export type DriverArchitecture = (typeof DRIVER_ARCHITECTURES)[number];
