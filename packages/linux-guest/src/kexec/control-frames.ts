import { PfnSet } from '@ullage/pages'
import type { Kernel } from '../kernel.ts'
import type { KexecLayout } from './kexec-layout.ts'

/** Pages of code, page tables and the swap page: a handful, each of a few orders. */
const MAX_CONTROL_PAGES = 1024
const MAX_ORDER = 10

/**
 * Frames that do the jump: the control code page, and all pages in the image's list of control pages, each of 2^private
 * frames (Linux kernel/kexec_core.c kimage_alloc_pages). `faults` says what cannot be followed.
 */
export function controlFrames(
  kernel: Kernel,
  options: { image: bigint; view: DataView; layout: KexecLayout; faults: string[] },
): PfnSet {
  const { image, view, layout, faults } = options
  const { memory, info, page } = kernel
  const found = new PfnSet()
  const lru = info.offset('page.lru')
  const add = (structPage: bigint): void => {
    const pfn = pfnOfStructPage(kernel, structPage)
    const order = memory.readU64(structPage + BigInt(page.private * 4))
    if (pfn === undefined || order === undefined || order > BigInt(MAX_ORDER)) {
      faults.push(`its control page at 0x${structPage.toString(16)} is none`)
    } else {
      found.add({ start: pfn, count: 2 ** Number(order) })
    }
  }
  const code = view.getBigUint64(layout.controlCodePage, true)
  if (code !== 0n) add(code)
  if (lru === undefined) {
    faults.push('its control pages cannot be listed: VMCOREINFO has no OFFSET(page.lru) line')
    return found
  }
  const end = image + BigInt(layout.controlPages)
  let node = view.getBigUint64(layout.controlPages, true)
  for (let pages = 0; node !== end && node !== 0n; pages++) {
    const next = memory.readU64(node)
    if (pages === MAX_CONTROL_PAGES || next === undefined) {
      faults.push(`its list of control pages cannot be followed behind page ${pages}`)
      return found
    }
    add(node - BigInt(lru))
    node = next
  }
  return found
}

/** The frame that a struct page describes: struct pages of all sections lie in one array, by frame number (vmemmap). */
function pfnOfStructPage({ sections, textPfn }: Kernel, structPage: bigint): number | undefined {
  const { sectionFrames, structPageBytes } = sections
  const known = Math.floor(textPfn / sectionFrames)
  const section = sections.at(known)
  if (section.kind !== 'online') return undefined
  const distance = structPage - section.map
  const pfn = Number(distance / BigInt(structPageBytes)) + known * sectionFrames
  if (distance % BigInt(structPageBytes) !== 0n || !Number.isSafeInteger(pfn) || pfn < 0) return undefined
  const own = sections.at(Math.floor(pfn / sectionFrames))
  const isThere = own.kind === 'online' && own.map + BigInt((pfn % sectionFrames) * structPageBytes) === structPage
  return isThere ? pfn : undefined
}
