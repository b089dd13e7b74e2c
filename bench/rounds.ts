/** Timing in rounds: everything that is compared runs in turn, so that a busy machine slows all of it alike. */

export class Rounds {
  readonly #times = new Map<string, number[]>()

  /** Times one action, in milliseconds. */
  time<T>(name: string, action: () => T): T {
    const start = performance.now()
    const result = action()
    this.add(name, performance.now() - start)
    return result
  }

  add(name: string, ms: number): void {
    const times = this.#times.get(name) ?? []
    times.push(ms)
    this.#times.set(name, times)
  }

  /** The q-th quantile of what was timed under a name; NaN if nothing was. */
  quantile(name: string, q: number): number {
    const times = [...(this.#times.get(name) ?? [])].sort((a, b) => a - b)
    return times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? Number.NaN
  }

  median(name: string): number {
    return this.quantile(name, 0.5)
  }

  ratio(name: string, base: string): number {
    return this.median(name) / this.median(base)
  }
}

/** Prints rows in columns, the first one to the left and the others to the right. */
export function printTable(rows: readonly (readonly (string | number)[])[]): void {
  const texts = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toFixed(2) : cell)))
  const widths = (texts[0] ?? []).map((_, column) =>
    Math.max(...texts.map((row) => (row[column] ?? '').length)),
  )
  for (const row of texts) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    console.log(`  ${cells.join('  ')}`.trimEnd())
  }
  console.log()
}
