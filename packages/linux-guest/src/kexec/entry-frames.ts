import { PfnSet } from '@ullage/pages'
import type { GuestFrames } from '../guest-frames.ts'

// Flags in the low bits of a kimage_entry_t (Linux include/linux/kexec.h).
const DESTINATION = 1
const INDIRECTION = 2
const DONE = 4
const SOURCE = 8
const FLAGS = DESTINATION | INDIRECTION | DONE | SOURCE

/** Lists of entries that an image of `pages` frames needs at most, with room for one list that is hardly filled. */
const listsLimit = (pages: number, perList: number): number => Math.ceil((2 * pages + 64) / (perList - 1)) + 1

/**
 * Frames that an image's list of entries names: where content waits (SOURCE), and the pages that hold the list itself
 * (INDIRECTION). Takes at most as many lists as `pages` frames need, none twice; `faults` then says what was given up.
 */
export function entryFrames(frames: GuestFrames, head: bigint, options: { pages: number; faults: string[] }): PfnSet {
  const { pages, faults } = options
  const found = new PfnSet()
  const lists = new PfnSet()
  const perList = frames.frameBytes / 8
  const page = new Uint8Array(frames.frameBytes)
  const entries = new BigUint64Array(page.buffer)
  const toPfn = (entry: bigint): number | undefined => {
    const pfn = Number(entry >> BigInt(frames.frameShift))
    return Number.isSafeInteger(pfn) && frames.isRam(pfn) ? pfn : undefined
  }
  let sources = 0
  let next: bigint | undefined = head
  while (next !== undefined) {
    const flags = Number(next & BigInt(FLAGS))
    if (next === 0n || flags === DONE) return found
    const list = flags === INDIRECTION ? toPfn(next) : undefined
    if (list === undefined || lists.has(list) || lists.size >= listsLimit(pages, perList)) {
      faults.push(`its list of entries cannot be followed behind page ${lists.size}`)
      return found
    }
    lists.add({ start: list, count: 1 })
    found.add({ start: list, count: 1 })
    if (!frames.readFrame(list, page)) {
      faults.push(`its list of entries goes on in frame ${list}, which cannot be read`)
      return found
    }
    next = undefined
    for (const entry of entries) {
      const kind = Number(entry & BigInt(FLAGS))
      if (kind === DONE || kind === INDIRECTION) {
        next = entry
        break
      }
      if (kind === DESTINATION) continue
      const source = kind === SOURCE ? toPfn(entry) : undefined
      if (source === undefined || ++sources > pages) {
        faults.push(`its list of entries names 0x${entry.toString(16)}, which is no page of it`)
        return found
      }
      found.add({ start: source, count: 1 })
    }
    if (next === undefined) faults.push(`its list of entries ends in frame ${list} without an end`)
  }
  return found
}
