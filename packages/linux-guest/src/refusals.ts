/** Candidates that a message lists. */
const MAX_LISTED = 8

/** Why candidates were refused: all are counted, the first few are remembered. */
export class Refusals {
  readonly listed: string[] = []
  count = 0

  add(reason: string): void {
    this.count++
    if (this.listed.length < MAX_LISTED) this.listed.push(reason)
  }

  toString(): string {
    const more = this.count - this.listed.length
    return this.listed.join('; ') + (more > 0 ? `; and ${more} more` : '')
  }
}
