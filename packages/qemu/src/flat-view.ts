import { QemuError } from './qemu-error.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

/** One range of the guest's physical address space, as QEMU renders it. All numbers count bytes. */
export interface FlatRange {
  readonly startBytes: number
  readonly sizeBytes: number
  /** `ram`, `rom`, `i/o`, `romd`, `ramd`; `nv-ram` for memory that is declared non-volatile. */
  readonly kind: string
  /** Name of the memory region: the id of its memory backend, where it has one. */
  readonly name: string
  /** Where in that region the range begins. */
  readonly offsetBytes: number
}

const MAX_RANGES = 1_000_000

/**
 * The flat view of the guest's memory, from the human monitor's `info mtree -f`: ascending and disjoint. Throws
 * UNEXPECTED_ANSWER when it is not in the known form. Ref: QEMU softmmu/memory.c mtree_print_flatview.
 */
export async function flatView(client: QmpClient, options: CommandOptions = {}): Promise<FlatRange[]> {
  return parseFlatView(await client.humanMonitor('info mtree -f', options))
}

const VIEW = /^FlatView #\d+$/
const SPACE = /^ AS "(.*)", root: /
// An accelerator that knows the range adds its name behind it, once for each address space: "ram0 @0000000000100000 KVM".
const RANGE =
  /^\s+([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ([a-z/-]+)\): (.*?)(?: @([0-9a-f]{16}))?(?: (?:KVM|HVF|WHPX|NVMM|MSHV|Xen|TCG))*$/

/** Parses the output of `info mtree -f` and returns the view of the address space `memory`. */
export function parseFlatView(text: string): FlatRange[] {
  const ranges: FlatRange[] = []
  let found = false
  let inside = false
  for (const line of text.split(/\r?\n/)) {
    if (VIEW.test(line)) inside = false
    if (SPACE.exec(line)?.[1] === 'memory') {
      found = true
      inside = true
    }
    const match = inside ? RANGE.exec(line) : null
    if (!match) continue
    if (ranges.length === MAX_RANGES) throw unexpected(`more than ${MAX_RANGES} ranges`)
    ranges.push(toRange(match, line))
  }
  if (!found) throw unexpected(`no line AS "memory" in ${text.length} characters`)
  checkOrder(ranges)
  return ranges
}

function toRange(match: RegExpExecArray, line: string): FlatRange {
  const [, first = '', last = '', kind = '', name = '', offset = '0'] = match
  const start = BigInt(`0x${first}`)
  const size = BigInt(`0x${last}`) - start + 1n
  // RAM beyond 2^53 cannot be; a range of devices there is listed with what a number can hold.
  const numbers = [start, size, BigInt(`0x${offset}`)].map(Number)
  const [startBytes = 0, sizeBytes = 0, offsetBytes = 0] = numbers
  if (size <= 0n) throw unexpected(`a range that ends before it begins: ${line.trim()}`)
  const isMemory = kind === 'ram' || kind === 'rom'
  if (isMemory && !numbers.every((number) => Number.isSafeInteger(number))) {
    throw unexpected(`memory above 2^53: ${line.trim()}`)
  }
  return { startBytes, sizeBytes, kind, name, offsetBytes }
}

function checkOrder(ranges: readonly FlatRange[]): void {
  let end = 0
  for (const range of ranges) {
    if (range.startBytes < end) throw unexpected(`${range.name} at 0x${range.startBytes.toString(16)} out of order`)
    end = range.startBytes + range.sizeBytes
  }
}

function unexpected(found: string): QemuError {
  return new QemuError(
    'UNEXPECTED_ANSWER',
    `expected the flat view of the guest's memory from info mtree -f, found ${found}`,
  )
}
