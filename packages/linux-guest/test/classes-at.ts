import { type GuestClass, guestClasses, type LinuxGuest } from '../src/index.ts'
import { ERA_LINES, type EraLines } from './era-lines.ts'

/** Frames in a section of a synthetic guest. */
export const SECTION = 32_768

/** Classes of frames in the first section and after, one word each. */
export function classesAt(guest: LinuxGuest, pfns: readonly number[]): GuestClass[] {
  const codes = new Uint8Array(2 * SECTION)
  guest.classify({ start: 0, count: 2 * SECTION }, codes)
  return pfns.map((pfn) => guestClasses[codes[pfn] as number] as GuestClass)
}

/** A number that kernels of `era` export. */
export function eraNumber(era: EraLines, name: string): number {
  const value = new Map(Object.entries(ERA_LINES[era])).get(`NUMBER(${name})`)
  if (value === undefined) throw new Error(`${era} has no ${name}`)
  return Number(value)
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
