import { makeSyntheticGuest, type SyntheticGuest, SyntheticKernel, type SyntheticPage, syntheticArm } from '@ullage/lab'
import { arm64_prstatus, encodeElfNote, NT_PRSTATUS } from '@ullage/layout'
import { mergeRanges, PfnSet } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { type GuestClass, type GuestView, guestClasses, type LinuxGuest, openLinuxGuest } from './index.ts'

const EL0T = 0n
const EL1H = 5n

/** One frame of each use, at order 2 where it is a block, and what it is to be called. */
const USES: readonly { page: SyntheticPage; expected: GuestClass }[] = [
  { page: { use: 'free', order: 2 }, expected: 'free' },
  { page: { use: 'offline' }, expected: 'offline' },
  { page: { use: 'anon' }, expected: 'user' },
  { page: { use: 'anon', order: 2 }, expected: 'user' },
  { page: { use: 'hugetlb', order: 2 }, expected: 'user' },
  { page: { use: 'cache' }, expected: 'cache' },
  { page: { use: 'cache', private: true }, expected: 'cachePrivate' },
  { page: { use: 'slab' }, expected: 'inUse' },
  { page: { use: 'offline', poisoned: true }, expected: 'hwpoison' },
  { page: { use: 'inUse' }, expected: 'inUse' },
]

/** Marks frames near the end of RAM, a multiple of 8 apart. */
function markUses({ guest, kernel }: { guest: SyntheticGuest; kernel: SyntheticKernel }): Map<number, GuestClass> {
  const last = guest.extents.at(-1)
  const end = last ? last.start + last.count : 0
  const expected = new Map<number, GuestClass>()
  USES.forEach((use, i) => {
    const pfn = end - 8 * (USES.length - i)
    kernel.mark(pfn, use.page)
    for (let j = 0; j < 2 ** (use.page.order ?? 0); j++) expected.set(pfn + j, use.expected)
  })
  return expected
}

function classesOf(linux: LinuxGuest, pfns: Iterable<number>): Map<number, GuestClass> {
  const found = new Map<number, GuestClass>()
  const into = new Uint8Array(1)
  for (const pfn of pfns) {
    linux.classify({ start: pfn, count: 1 }, into)
    found.set(pfn, guestClasses[into[0] as number] as GuestClass)
  }
  return found
}

/** The guest in frames of 4 KiB, as a host that does not know its page size has it. */
function inSmallFrames(guest: SyntheticGuest): GuestView {
  const factor = guest.frameBytes / 4096
  const frame = new Uint8Array(guest.frameBytes)
  return {
    frameBytes: 4096,
    machine: 'aarch64',
    extents: guest.extents.map(({ start, count }) => ({ start: start * factor, count: count * factor })),
    tryRead: ({ start, count }, into) => {
      for (let i = 0; i < count; i++) {
        const at = start + i
        if (!guest.tryRead({ start: Math.floor(at / factor), count: 1 }, frame)) return false
        into.set(frame.subarray((at % factor) * 4096, ((at % factor) + 1) * 4096), i * 4096)
      }
      return true
    },
    toPfn: (gfn) => (guest.toPfn(Math.floor(gfn / factor)) === undefined ? undefined : gfn),
    inFramesOf: (bytes) => (bytes === guest.frameBytes ? guest : undefined),
  }
}

describe.each([
  { pageShift: 12, addressBits: 39 },
  { pageShift: 12, addressBits: 48 },
  { pageShift: 12, addressBits: 52 },
  { pageShift: 14, addressBits: 36 },
  { pageShift: 14, addressBits: 47 },
  { pageShift: 14, addressBits: 48 },
  { pageShift: 14, addressBits: 52 },
  { pageShift: 16, addressBits: 42 },
  { pageShift: 16, addressBits: 48 },
  { pageShift: 16, addressBits: 52 },
] as const)('pages of 2^$pageShift bytes, $addressBits address bits', (options) => {
  const architecture = syntheticArm(options)

  test.each([true, false])('classes and protected frames, struct pages in blocks: %s', async (blocks) => {
    const made = makeSyntheticGuest({ architecture, blocks })
    const expected = markUses(made)
    const linux = await openLinuxGuest(made.guest, { elfNotes: made.kernel.note })
    expect(linux).toMatchObject({ pageBytes: 2 ** options.pageShift, vmcoreinfoFrom: 'note', warnings: [] })
    expect(classesOf(linux, expected.keys())).toEqual(expected)
    const missing = PfnSet.of(made.kernel.protectedFrames)
    for (const range of linux.protectedFrames()) missing.delete(range)
    expect([...missing.allRuns()]).toEqual([])
    expect(made.guest.forbidden).toEqual([])
  })

  test('a host that tells 4 KiB apart finds it by a search', async () => {
    const made = makeSyntheticGuest({ architecture })
    const expected = markUses(made)
    const linux = await openLinuxGuest(inSmallFrames(made.guest))
    expect(linux).toMatchObject({ pageBytes: 2 ** options.pageShift, vmcoreinfoFrom: 'scan', warnings: [] })
    expect(classesOf(linux, expected.keys())).toEqual(expected)
    const kept = PfnSet.of(linux.protectedFrames())
    for (const range of mergeRanges(made.kernel.protectedFrames)) expect(kept.countIn(range)).toBe(range.count)
  })
})

test('64 KiB pages built for 52 bits keep the form of their tables on a processor with 48', async () => {
  const { guest, kernel } = makeSyntheticGuest({ architecture: syntheticArm({ pageShift: 16, addressBits: 52 }) })
  kernel.lines.set('NUMBER(TCR_EL1_T1SZ)', '0x10')
  await expect(openLinuxGuest(guest, { elfNotes: kernel.note })).resolves.toMatchObject({ pageBytes: 65_536 })
})

test('a text that fills more than 4 KiB of its page is read to its end', async () => {
  const made = makeSyntheticGuest({ architecture: syntheticArm({ pageShift: 14 }) })
  const lines = [...made.kernel.lines]
  made.kernel.lines.clear()
  for (const [key, value] of lines.slice(0, 3)) made.kernel.lines.set(key, value)
  for (let i = 0; i < 200; i++) made.kernel.lines.set(`SYMBOL(filler_${i})`, 'ffff800080000000')
  for (const [key, value] of lines.slice(3)) made.kernel.lines.set(key, value)
  made.kernel.publish()
  expect(made.kernel.vmcoreinfo.length).toBeGreaterThan(4096)
  await expect(openLinuxGuest(inSmallFrames(made.guest))).resolves.toMatchObject({ vmcoreinfoFrom: 'scan' })
})

test('kernels before 5.12 had sections of 1 GiB and did not say so', async () => {
  const architecture = { ...syntheticArm(), sectionSizeBits: 30 }
  const { guest, kernel } = makeSyntheticGuest({ architecture })
  kernel.lines.delete('NUMBER(SECTION_SIZE_BITS)')
  kernel.lines.delete('NUMBER(MAX_PHYSMEM_BITS)')
  kernel.lines.delete('NUMBER(TCR_EL1_T1SZ)')
  const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
  expect(linux.sectionFrames).toBe(2 ** 18)
})

test.each([
  ['PAGESIZE', '8192', 'its pages have 8192 bytes, no arm64 kernel’s'],
  ['NUMBER(VA_BITS)', '64', 'kernel addresses of'],
  ['NUMBER(TCR_EL1_T1SZ)', '0x3f', 'kernel addresses of 1 bits'],
  ['NUMBER(kimage_voffset)', '0x0', 'is not in the kernel image'],
  ['NUMBER(kimage_voffset)', undefined, 'no valid NUMBER(kimage_voffset)'],
])('%s=%s is refused', async (key, value, why) => {
  const { guest, kernel } = makeSyntheticGuest({ architecture: syntheticArm() })
  if (key === 'NUMBER(VA_BITS)') kernel.lines.delete('NUMBER(TCR_EL1_T1SZ)')
  if (value === undefined) kernel.lines.delete(key)
  else kernel.lines.set(key, value)
  kernel.publish()
  await expect(openLinuxGuest(guest, { elfNotes: kernel.note })).rejects.toMatchObject({
    code: 'NO_VALID_VMCOREINFO',
    message: expect.stringContaining(why.replace('’', "'")),
  })
})

describe('vCPUs', () => {
  function cpu(pc: bigint, pstate: bigint, lr = 0n): Uint8Array {
    const x = Array.from({ length: 31 }, (_, i) => (i === 30 ? lr : 0n))
    const head = { head: new Uint8Array(32), pr_pid: 1, between: new Uint8Array(76) }
    return encodeElfNote('CORE', NT_PRSTATUS, arm64_prstatus.toBytes({ ...head, x, sp: 0n, pc, pstate, pr_fpvalid: 0 }))
  }
  const inImage = (kernel: SyntheticKernel): bigint => kernel.architecture.imageBase + 0x3210n
  const made = makeSyntheticGuest({ architecture: syntheticArm() })
  const open = (...notes: Uint8Array[]) =>
    openLinuxGuest(made.guest, { elfNotes: Buffer.concat([...notes, made.kernel.note]), expectVcpus: true })

  test('one in the kernel’s image, or called from there, confirms it', async () => {
    await expect(open(cpu(inImage(made.kernel), EL1H))).resolves.toMatchObject({ warnings: [] })
    // Pointer authentication puts a signature into all bits above the address but 55.
    const signed = (inImage(made.kernel) & 0x0000_ffff_ffff_ffffn) | 0x5a95_0000_0000_0000n | (1n << 55n)
    await expect(open(cpu(0xffff_9000_0000_0000n, EL1H, signed))).resolves.toMatchObject({ warnings: [] })
    await expect(open(cpu(0x4000n, EL0T), cpu(inImage(made.kernel), EL1H))).resolves.toMatchObject({ warnings: [] })
  })

  test('all in processes: the noted kernel is taken, and that is said', async () => {
    const { warnings } = await open(cpu(0x4000n, EL0T), cpu(0x4000n, 0x10n))
    expect(warnings.map(({ code }) => code)).toEqual(['VCPUS_IN_PROCESSES'])
  })

  test.each([
    ['in firmware', () => [cpu(0x4000_1000n, EL1H)]],
    ['in another kernel', () => [cpu(0xffff_9000_0000_0000n, EL1H), cpu(0x4000n, EL0T)]],
    ['without notes', () => []],
  ])('%s: the kernel is not believed', async (_, notes) => {
    await expect(open(...notes())).rejects.toMatchObject({ code: 'KERNEL_NOT_RUNNING' })
  })

  test('of two kernels in memory the one is taken that a vCPU is in, and none where all are in processes', async () => {
    const architecture = syntheticArm()
    const { guest, kernel: old } = makeSyntheticGuest({ architecture, release: '6.12.0-old' })
    const moved = { ...architecture, imageBase: architecture.imageBase + 0x1000_0000n }
    const at = (guest.extents[0]?.start ?? 0) + 40_000
    const running = new SyntheticKernel(guest, { architecture: moved, release: '6.12.0-running', at })
    for (const [kernel, release] of [
      [old, '6.12.0-old'],
      [running, '6.12.0-running'],
    ] as const) {
      const linux = await openLinuxGuest(guest, { elfNotes: cpu(inImage(kernel), EL1H), expectVcpus: true })
      expect(linux.kernel).toBe(release)
    }
    const options = { elfNotes: cpu(0x4000n, EL0T), expectVcpus: true }
    await expect(openLinuxGuest(guest, options)).rejects.toMatchObject({ code: 'KERNEL_NOT_RUNNING' })
  })
})
