const SLOTS = 1 << 19
/** Bytes of the file for each slot: pages that follow one another have slots that do, and most have one of their own. */
const SLOT_BYTES = 1024

/**
 * Pages that were found whole, by where they stand, so that frames that share one have it decompressed once. Remembers those of
 * 512 MiB of the file, in 8 MiB, each until another comes to its place. Positions are not 0, and flags are below 64.
 */
export class KnownPages {
  /** Two for each slot: the position, 0 in an empty one; and all else in one number. */
  readonly #slots = new Float64Array(2 * SLOTS)

  /** Whether the page is zeros; undefined when it is not known. */
  find(position: number, size: number, flags: number): boolean | undefined {
    const slot = slotOf(position)
    if (this.#slots[slot] !== position) return undefined
    const rest = (this.#slots[slot + 1] as number) - toRest(size, flags)
    return rest === 0 || rest === 1 ? rest === 1 : undefined
  }

  add(position: number, size: number, flags: number, isZero: boolean): void {
    const slot = slotOf(position)
    this.#slots[slot] = position
    this.#slots[slot + 1] = toRest(size, flags) + (isZero ? 1 : 0)
  }
}

function slotOf(position: number): number {
  return 2 * ((position / SLOT_BYTES) & (SLOTS - 1))
}

function toRest(size: number, flags: number): number {
  return (size * 64 + flags) * 2
}
