/**
 * What one run gave, by name: `wallMs`, `cpuMs` (user and system, descendants included), `bytes` of the file, `gib` of pages
 * written, `peakBytes`, and what a kind of run has besides.
 */
export type Sample = Record<string, number>

/** Every run of the benchmark, by a key that says what ran, in the order of the rounds. */
export class Samples {
  readonly #all: Map<string, Sample[]>

  constructor(kept: Readonly<Record<string, readonly Sample[]>> = {}) {
    this.#all = new Map(Object.entries(kept).map(([key, samples]) => [key, [...samples]]))
  }

  add(key: string, sample: Sample): void {
    const samples = this.#all.get(key)
    if (samples) samples.push(sample)
    else this.#all.set(key, [sample])
  }

  /** The values of a field, round by round; undefined unless every run of this key has it. */
  values(key: string, field: string): readonly number[] | undefined {
    const samples = this.#all.get(key)
    const values = samples?.map((sample) => sample[field])
    return values?.every((value) => value !== undefined) ? values : undefined
  }

  toJSON(): Record<string, Sample[]> {
    return Object.fromEntries(this.#all)
  }
}

/** Of an even number the mean of the middle two; of none NaN. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2
}
