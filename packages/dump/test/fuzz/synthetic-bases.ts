import {
  makeSyntheticGuest,
  type SyntheticArchitecture,
  type SyntheticGuestOptions,
  type SyntheticPage,
  syntheticArm,
  syntheticEras,
  syntheticX86,
} from '@ullage/lab'
import { type FuzzBase, makeBase } from './fuzz-base.ts'
import { Random } from './random.ts'

/** 16 MiB a section, so that small guests have several. */
const small = (architecture: SyntheticArchitecture): SyntheticArchitecture => ({
  ...architecture,
  sectionSizeBits: Math.max(24, Math.log2(architecture.frameBytes) + 10),
  maxPhysmemBits: Math.min(48, architecture.maxPhysmemBits),
})

const x86 = small(syntheticX86())
const x86Five = small(syntheticX86({ fiveLevel: true, virtualOffsetBytes: 0x260_0000 }))

/** Guests of every era, in every form that the builder knows, each a few thousand frames large. */
const FORMS: readonly (readonly [string, Omit<SyntheticGuestOptions, 'pages'>])[] = [
  ['4.19 of 56-byte pages', { era: syntheticEras['4.19'], architecture: x86, pageBytes: 56 }],
  ['5.4 flat', { era: syntheticEras['5.4'], architecture: x86, memSection: 'flat' }],
  ['5.10 with a map in every section', { era: syntheticEras['5.10'], architecture: x86, memMap: 'sections' }],
  ['6.1 five-level', { era: syntheticEras['6.1'], architecture: x86Five }],
  ['6.3 of 80-byte pages', { era: syntheticEras['6.3'], architecture: x86, pageBytes: 80, sectionBytes: 32 }],
  ['6.6 in small pages', { era: syntheticEras['6.6'], architecture: x86Five, blocks: false }],
  ['6.10', { era: syntheticEras['6.10'], architecture: x86, memSection: 'pointer' }],
  ['6.11 of 96-byte pages', { era: syntheticEras['6.11'], architecture: x86, pageBytes: 96 }],
  ['6.12', { era: syntheticEras['6.12'], architecture: x86 }],
  ['7.2 five-level', { era: syntheticEras['7.2'], architecture: x86Five }],
  ['6.1 arm64, 4 KiB', { era: syntheticEras['6.1'], architecture: small(syntheticArm({ addressBits: 39 })) }],
  ['6.12 arm64, 16 KiB', { era: syntheticEras['6.12'], architecture: small(syntheticArm({ pageShift: 14 })) }],
  [
    '7.2 arm64, 64 KiB',
    { era: syntheticEras['7.2'], architecture: small(syntheticArm({ pageShift: 16, addressBits: 52 })) },
  ],
]

export function syntheticBases(): FuzzBase[] {
  return FORMS.map(([name, form], index) => baseOf(name, form, index))
}

/** Frames of RAM: 16 MiB of 4 KiB pages; larger pages are fewer. */
const framesOf = (frameBytes: number): number => (frameBytes === 4096 ? 4096 : frameBytes === 65_536 ? 1536 : 3072)

function baseOf(name: string, form: Omit<SyntheticGuestOptions, 'pages'>, seed: number): FuzzBase {
  const { frameBytes = 4096, ramBytes = 0 } = form.architecture ?? {}
  const start = ramBytes / frameBytes
  const count = framesOf(frameBytes)
  const gap = count / 4
  // RAM in two pieces, and some of it not backed.
  const extents = [
    { start, count: count - gap },
    { start: start + count, count: gap },
  ]
  const use = mixedUse(seed)
  const { guest, kernel } = makeSyntheticGuest({ ...form, extents, at: start + 512, pages: (pfn) => use(pfn - start) })
  for (const [from, frames] of [
    [16, 16],
    [400, 64],
  ] as const) {
    guest.unbacked.add({ start: start + from, count: frames })
  }
  return makeBase({
    name,
    machine: guest.machine,
    frameBytes: guest.frameBytes,
    extents: guest.extents,
    vcpuNotes: guest.machine === 'x86_64' ? kernel.vcpuNote : new Uint8Array(),
    vmcoreinfoNote: kernel.note,
    kept: [...kernel.protectedFrames, ...kernel.memMap.frames].flatMap((range) =>
      Array.from({ length: range.count }, (_, i) => range.start + i),
    ),
    isBacked: (pfn) => !guest.unbacked.has(pfn),
    read: (pfn, into) => guest.memory.read({ start: pfn, count: 1 }, into),
    targets: {
      structPages: kernel.memMap.frames,
      tables: kernel.tables.tables,
      sections: kernel.sectionPfns,
      vmcoreinfoPfn: kernel.vmcoreinfoPfn,
      structPageBytes: kernel.memMap.pageBytes,
      vmcoreinfo: kernel.vmcoreinfo,
    },
  })
}

/** Frames used for everything, in blocks of 64: the same for the same seed. */
function mixedUse(seed: number): (at: number) => SyntheticPage | undefined {
  const random = new Random(seed + 1)
  const uses: readonly SyntheticPage[] = [
    { use: 'free', order: 6 },
    { use: 'free', order: 3 },
    { use: 'anon', order: 6 },
    { use: 'anon' },
    { use: 'hugetlb', order: 6 },
    { use: 'cache' },
    { use: 'cache', private: true },
    { use: 'slab', order: 2 },
    { use: 'offline' },
    { use: 'table' },
    { use: 'inUse' },
    { use: 'inUse', poisoned: true },
  ]
  const chosen = Array.from({ length: 1024 }, () => random.pick(uses))
  return (at) => {
    const page = chosen[Math.floor(at / 64) % chosen.length]
    return page && { ...page, index: at % 2 ** (page.order ?? 0) }
  }
}
