/** Counters and sums of times. */

/** Adds a count to the sum of that number. */
export function add(sums: usize, number: i32, count: i32): void {
  addTicks(sums, number, <f64>count);
}

/** Adds ticks [ps] to the sum of that number. */
export function addTicks(sums: usize, number: i32, ticks: f64): void {
  const at = sums + ((<usize>number) << 3);
  store<f64>(at, load<f64>(at) + ticks);
}
