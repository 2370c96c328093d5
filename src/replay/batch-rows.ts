/** [rows] Rows per call of the data plane unless told otherwise: the fastest of those measured (test/bench/translate.mjs). */
export const DEFAULT_BATCH_ROWS = 4096;
