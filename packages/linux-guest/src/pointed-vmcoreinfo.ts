import { type PfnRange, PfnSet } from '@ullage/pages'
import type { CpuPageTable } from './cpu-page-tables.ts'
import type { GuestFrames } from './guest-frames.ts'
import { isImage } from './image-runs.ts'
import type { Kernel } from './kernel.ts'
import { KernelMemory, type MappedRun } from './kernel-memory.ts'
import { PageWalker } from './page-walker.ts'
import { startsVmcoreinfo, textOf, type VmcoreinfoPage } from './scan-vmcoreinfo.ts'
import { x86_64Image, x86_64Paging } from './x86-64.ts'

/** Frames of the image read together. */
const PIECE_FRAMES = 64
/** Frames of the image read at most, whatever its tables say: real ones have up to 20 000. */
const MAX_IMAGE_FRAMES = 2 ** 17
/** Pages that are followed at most: a real image points to some thousand outside itself. */
const MAX_FOLLOWED = 2 ** 16
/** How far the kernel's variables for one thing stand from another, in words of 32 bits. */
const BESIDE_WORDS = 16
/** Root tables that are tried: one kernel's lead to the same image, whichever process they are of. */
const MAX_TABLES = 64
/** Pages that are followed for the page of a kernel that is known already, which is only to be protected. */
const MAX_FOLLOWED_OF_ONE = 2 ** 12

/**
 * VMCOREINFO pages that the kernel image points to, by the page tables that vCPUs have loaded. The kernel keeps the address
 * of the page in a variable without initial value (Linux kernel/vmcore_info.c vmcoreinfo_data), which stand at the end of
 * its image: that is read from its end down. So little is read, and of what the kernel has given away only what stands
 * between the end of its image and that of the large page it ends in. Yields each page once.
 */
export function* pointedVmcoreinfo(
  frames: GuestFrames,
  tables: readonly CpuPageTable[],
  options: { signal?: AbortSignal | undefined } = {},
): Generator<VmcoreinfoPage> {
  if (frames.view.machine !== 'x86_64') return
  const searched = new PfnSet()
  const followed = new PfnSet()
  const page = new Uint8Array(frames.frameBytes)
  for (const { address, fiveLevel } of tables.slice(0, MAX_TABLES)) {
    const root = frames.view.toPfn(Number(address >> BigInt(frames.frameShift)))
    if (root === undefined) continue
    const memory = new KernelMemory(frames, new PageWalker(frames, x86_64Paging({ fiveLevel }), root))
    for (const pointer of pointers(memory, { ...x86_64Image, searched, signal: options.signal })) {
      const pfn = memory.toPfn(pointer)
      if (pfn === undefined || followed.has(pfn)) continue
      if (followed.size >= MAX_FOLLOWED) return
      followed.add({ start: pfn, count: 1 })
      if (!frames.readFrame(pfn, page) || !startsVmcoreinfo(page)) continue
      yield { pfn, text: textOf(page) }
    }
  }
}

/**
 * Frame of the VMCOREINFO page of a kernel whose root table is known: `likely` where that has its text, else where its image
 * points to a page that names the same release. Undefined where that is not found soon.
 */
export function vmcoreinfoPlace(kernel: Kernel, likely?: number): number | undefined {
  if (likely !== undefined && holdsText(kernel, likely)) return likely
  // Beside the address the kernel keeps the length of the text: where that stands, few pages are to be looked at.
  return placeBeside(kernel, kernel.info.text.length) ?? placeBeside(kernel, undefined)
}

function holdsText({ memory: { frames }, info }: Kernel, pfn: number): boolean {
  const page = new Uint8Array(frames.frameBytes)
  return frames.readFrame(pfn, page) && startsVmcoreinfo(page) && textOf(page) === info.text
}

function placeBeside(kernel: Kernel, beside: number | undefined): number | undefined {
  const { memory, architecture, info } = kernel
  const release = info.text.slice(0, info.text.indexOf('\n') + 1)
  const followed = new PfnSet()
  const page = new Uint8Array(memory.frames.frameBytes)
  const isImageRun = (run: MappedRun): boolean => isImage(kernel, run)
  const image = { ...architecture.image, searched: new PfnSet(), isImage: isImageRun, beside }
  for (const pointer of pointers(memory, image)) {
    const pfn = memory.toPfn(pointer)
    if (pfn === undefined || followed.has(pfn)) continue
    if (followed.size >= MAX_FOLLOWED_OF_ONE) return undefined
    followed.add({ start: pfn, count: 1 })
    if (memory.frames.readFrame(pfn, page) && startsVmcoreinfo(page) && textOf(page).startsWith(release)) return pfn
  }
  return undefined
}

/** Where an image is mapped, and which of its frames have been searched. */
interface SearchedImage {
  readonly start: bigint
  readonly end: bigint
  readonly searched: PfnSet
  /** Which of what is mapped there is image; all when left out. */
  readonly isImage?: (run: MappedRun) => boolean
  /** Of addresses only those that have this number, of 32 bits, within some words. */
  readonly beside?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Page-aligned addresses of the kernel's half outside its image that stand in the image, from its end down. */
function* pointers(memory: KernelMemory, image: SearchedImage): Generator<bigint> {
  const { searched, signal } = image
  const { frames } = memory
  const bytes = new Uint8Array(PIECE_FRAMES * frames.frameBytes)
  const words = new Int32Array(bytes.buffer)
  const readable = new Uint8Array(PIECE_FRAMES)
  const pageMask = frames.frameBytes - 1
  const imageHigh = Number(BigInt.asIntN(32, image.start >> 32n))
  const perFrame = frames.frameBytes / 4
  for (const { pfn, pages } of piecesOf(memory, image)) {
    signal?.throwIfAborted()
    const range = { start: pfn, count: pages }
    if (searched.countIn(range) === pages) continue
    if (searched.size >= MAX_IMAGE_FRAMES) return
    searched.add(range)
    if (!readPiece(frames, range, bytes, readable)) continue
    for (let at = pages * perFrame - 2; at >= 0; at -= 2) {
      const high = words[at + 1] as number
      // The kernel's half begins with ones; frames that could not be read hold nothing else.
      if (high >>> 24 !== 0xff || high === imageHigh || ((words[at] as number) & pageMask) !== 0) continue
      if (image.beside !== undefined && !isBeside(words, at, image.beside)) continue
      if (readable[Math.floor(at / perFrame)] === 1)
        yield (BigInt(high >>> 0) << 32n) | BigInt((words[at] as number) >>> 0)
    }
  }
}

/** Whether `number` stands within BESIDE_WORDS of words[at], as 64 bits. */
function isBeside(words: Int32Array, at: number, number: number): boolean {
  for (let other = Math.max(0, at - BESIDE_WORDS); other <= at + BESIDE_WORDS; other += 2) {
    if (words[other] === number && words[other + 1] === 0) return true
  }
  return false
}

/**
 * Reads what can be read of `range`, or returns false for one that has no memory at both ends: each try may cost a question
 * to a hypervisor, and a search of all memory would still find what is missed.
 */
function readPiece(frames: GuestFrames, range: PfnRange, bytes: Uint8Array, readable: Uint8Array): boolean {
  const { start, count } = range
  const into = bytes.subarray(0, count * frames.frameBytes)
  if (frames.view.tryRead(range, into)) {
    readable.fill(1, 0, count)
    return true
  }
  const end = bytes.subarray(0, frames.frameBytes)
  if (!frames.readFrame(start + count - 1, end) && !frames.readFrame(start, end)) return false
  frames.readWhatCanBe(range, into, readable, 0)
  return true
}

/** What is mapped of the image, from its end down, in pieces of neighbouring frames. */
function* piecesOf(memory: KernelMemory, image: SearchedImage): Generator<{ pfn: number; pages: number }> {
  const { start, end } = image
  const runs: MappedRun[] = []
  for (const run of memory.mapping(start, Number((end - start) >> BigInt(memory.frames.frameShift)))) {
    if (run.pfn !== undefined && (image.isImage?.(run) ?? true)) runs.push(run)
  }
  for (const { pfn = 0, pages } of runs.reverse()) {
    for (let last = pages; last > 0; last -= PIECE_FRAMES) {
      const first = Math.max(0, last - PIECE_FRAMES)
      yield { pfn: pfn + first, pages: last - first }
    }
  }
}
