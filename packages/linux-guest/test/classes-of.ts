import { guestClasses, type GuestClass, type LinuxGuest } from '../src/index.ts'
import type { PfnRange } from '@ullage/pages'

/** The class of every frame of `extents`, by frame number, as `classify` fills it in windows of `windowFrames`. */
export function classesOf(
  guest: LinuxGuest,
  extents: readonly PfnRange[],
  windowFrames = guest.sectionFrames,
): Map<number, GuestClass> {
  const classes = new Map<number, GuestClass>()
  for (const extent of extents) {
    for (let start = extent.start; start < extent.start + extent.count; start += windowFrames) {
      const count = Math.min(windowFrames, extent.start + extent.count - start)
      const codes = new Uint8Array(count)
      guest.classify({ start, count }, codes)
      for (const [i, code] of codes.entries()) classes.set(start + i, guestClasses[code] as GuestClass)
    }
  }
  return classes
}

/** Frames of a class, ascending. */
export function framesOf(classes: ReadonlyMap<number, GuestClass>, wanted: GuestClass): number[] {
  return [...classes].flatMap(([pfn, found]) => (found === wanted ? [pfn] : []))
}

/** Frames in one list and not in the other. */
export function difference(a: readonly number[], b: readonly number[]): { missed: number[]; extra: number[] } {
  const inA = new Set(a)
  const inB = new Set(b)
  return { missed: a.filter((pfn) => !inB.has(pfn)), extra: b.filter((pfn) => !inA.has(pfn)) }
}
