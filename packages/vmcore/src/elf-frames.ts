import type { PfnRange } from '@ullage/pages'
import type { ExtentMap } from './extent-map.ts'

/** Frames that stand one after another in the file. */
export interface StoredRun extends PfnRange {
  /** Of the first one, in bytes. */
  readonly position: number
}

/** Whole frames that stand in one piece in the file. */
export function* storedRuns(content: ExtentMap, pageBytes: number): Generator<StoredRun> {
  for (let i = 0; i < content.count; i++) {
    const { start, length, position } = content.at(i)
    const first = Math.ceil(start / pageBytes)
    const end = Math.floor((start + length) / pageBytes)
    if (end > first) yield { start: first, count: end - first, position: position + first * pageBytes - start }
  }
}

/** Frames that a segment touches, ascending and disjoint; neighbours may touch. */
export function* presentRuns(memory: ExtentMap, pageBytes: number): Generator<PfnRange> {
  let done = 0
  for (let i = 0; i < memory.count; i++) {
    const { start, length } = memory.at(i)
    const first = Math.max(done, Math.floor(start / pageBytes))
    const end = Math.ceil((start + length) / pageBytes)
    if (end > first) yield { start: first, count: end - first }
    done = Math.max(done, end)
  }
}

/** Ascending, disjoint runs with neighbours that touch made one. */
export function* joined(runs: Iterable<PfnRange>): Generator<PfnRange> {
  let open: { start: number; count: number } | undefined
  for (const { start, count } of runs) {
    if (open && open.start + open.count === start) {
      open.count += count
      continue
    }
    if (open) yield open
    open = { start, count }
  }
  if (open) yield open
}

/** Where the content of `pfn` stands, when all of it does so in one piece. */
export function locateFrame(content: ExtentMap, pageBytes: number, pfn: number): number | undefined {
  const address = pfn * pageBytes
  const index = content.find(address)
  if (index >= content.count) return undefined
  const { start, length, position } = content.at(index)
  return start <= address && start + length >= address + pageBytes ? position + address - start : undefined
}
