/** Milliseconds of a clock that nobody sets. `performance.now()` tells the same, and loads a module of Node's for it. */
export function elapsedMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
