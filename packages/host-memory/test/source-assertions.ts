import { pageSize } from '@ullage/native'
import { expect } from 'vitest'
import type { RamSource } from '../src/index.ts'

const page = pageSize()

export type PageRun = [firstPage: number, endPage: number, state: string]

/** Every run of a source, in pages. */
export function runsOf(source: RamSource): PageRun[] {
  const runs = [...source.backing({ startBytes: 0, endBytes: source.sizeBytes })]
  return runs.map((run) => [run.startBytes / page, run.endBytes / page, run.state])
}

/** Runs of the pages [0, pages): those listed are in `state`, those between in `other`. */
export function expectedRuns(pages: number, listed: number[], state = 'backed', other = 'unbacked'): PageRun[] {
  const runs: PageRun[] = []
  for (let i = 0; i < pages; i++) {
    const now = listed.includes(i) ? state : other
    const last = runs.at(-1)
    if (last && last[2] === now) last[1] = i + 1
    else runs.push([i, i + 1, now])
  }
  return runs
}

/** Reads everything in pieces of 1, 7 and 64 pages; each page must be full of the byte it should have, zero unless told. */
export function expectContent(source: RamSource, bytes: Map<number, number>): void {
  const pages = source.sizeBytes / page
  for (const step of [1, 7, 64]) {
    const into = new Uint8Array(new SharedArrayBuffer(step * page))
    for (let at = 0; at < pages; at += step) {
      const count = Math.min(step, pages - at)
      const part = into.subarray(0, count * page).fill(0xee)
      source.read(at * page, part)
      for (let i = 0; i < count; i++) {
        const byte = bytes.get(at + i) ?? 0
        const wrong = part.subarray(i * page, (i + 1) * page).findIndex((each) => each !== byte)
        expect(wrong, `page ${at + i}, read ${step} at a time, differs from ${byte} at byte ${wrong}`).toBe(-1)
      }
    }
  }
}

/** What `act` throws; throws itself when nothing was. */
export function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('expected an error, none was thrown')
}
