/** So many dumps may wait for a queue that is away and still be traced; of more, the oldest are not. */
const MOST = 10_000

/** Which request asked for a dump, from its acceptance until it is queued. In memory only: after a restart nobody knows. */
export class DumpTraceparents {
  readonly #byDump = new Map<string, string>()

  keep(dump: string, traceparent: string): void {
    this.#byDump.set(dump, traceparent)
    if (this.#byDump.size <= MOST) return
    const [oldest] = this.#byDump.keys()
    if (oldest !== undefined) this.#byDump.delete(oldest)
  }

  of(dump: string): string | undefined {
    return this.#byDump.get(dump)
  }

  drop(dump: string): void {
    this.#byDump.delete(dump)
  }
}
