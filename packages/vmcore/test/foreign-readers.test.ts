import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  crash,
  framesWithFlag,
  KPF,
  makedumpfile,
  type MemoryView,
  openKdumpfile,
  openMemoryView,
  readerCommand,
  unpackFixture,
} from '@ullage/lab'
import { PfnSet } from '@ullage/pages'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeVmcore } from '../src/describe-vmcore.ts'
import { openVmcore } from '../src/open-vmcore.ts'
import { verifyVmcore } from '../src/verify-vmcore.ts'
import { compressions } from '../src/vmcore-writer.ts'
import { decompress } from './page-codecs.ts'
import { runWithFiles } from './run-with-files.ts'
import { type DumpFormat, type DumpSpec, formats, writeDump } from './write-dump.ts'

const PAGE = 4096

let dir: string
let guest: Awaited<ReturnType<typeof unpackFixture>>
let memory: MemoryView
/** Everything but what the guest calls offline or free: unbacked frames among them are zeros, as QEMU shows them. */
let stored: PfnSet

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ullage-vmcore-'))
  guest = await unpackFixture('virtio-v6.12-balloon')
  memory = openMemoryView(guest.regions)
  stored = PfnSet.of(memory.extents)
  for (const flag of [KPF.offline, KPF.buddy]) {
    for (const start of framesWithFlag(guest.kpageflags, flag)) stored.delete({ start, count: 1 })
  }
})

afterAll(async () => {
  memory?.[Symbol.dispose]()
  await rm(dir, { recursive: true, force: true })
})

/** Content of a frame as the guest would see it. */
function fill(pfn: number, page: Uint8Array): void {
  if (memory.backed.has(pfn)) memory.read({ start: pfn, count: 1 }, page)
  else page.fill(0)
}

function spec(format: DumpFormat, compression: DumpSpec['compression'] = 'zstd'): DumpSpec {
  const physBase = /NUMBER\(phys_base\)=(-?\d+)/.exec(new TextDecoder('latin1').decode(guest.elfNotes))?.[1]
  return {
    format,
    compression,
    header: {
      elfNotes: guest.elfNotes,
      physBase: BigInt(physBase ?? 0),
      uname: { sysname: 'Linux', nodename: 'guest', release: guest.uname, version: '#1', domainname: '' },
    },
    present: memory.extents,
    stored: [...stored.allRuns()],
    fill,
    batchPages: 1000,
  }
}

interface Differences {
  /** Content is not the guest's. */
  readonly wrong: number[]
  /** Stored, but the reader has nothing. */
  readonly missing: number[]
  /** Not stored, but the reader has something. */
  readonly extra: number[]
  /** The reader fails. */
  readonly refused: number[]
}

const none: Differences = { wrong: [], missing: [], extra: [], refused: [] }

/** Compares every frame of the guest with what libkdumpfile says of it. */
function compare(path: string): Differences {
  using dump = openKdumpfile(path)
  const found = Buffer.alloc(PAGE)
  const expected = Buffer.alloc(PAGE)
  const differences: Differences = { wrong: [], missing: [], extra: [], refused: [] }
  for (const extent of memory.extents) {
    for (let pfn = extent.start; pfn < extent.start + extent.count; pfn++) {
      let there = false
      try {
        there = dump.read(pfn * PAGE, found)
      } catch {
        differences.refused.push(pfn)
        continue
      }
      if (there !== stored.has(pfn)) (there ? differences.extra : differences.missing).push(pfn)
      if (!there || !stored.has(pfn)) continue
      fill(pfn, expected)
      if (found.compare(expected) !== 0) differences.wrong.push(pfn)
    }
  }
  return differences
}

describe('libkdumpfile reads every stored page of a real guest as it is, and no other', () => {
  test.each(compressions)('kdump, %s', async (compression) => {
    const path = join(dir, `guest.${compression}`)
    const summary = await writeDump(path, spec('kdump', compression))
    expect(summary.pages).toBe(stored.size)
    expect(summary.pages - summary.zeroPages).toBeGreaterThan(10_000)
    expect(compare(path)).toEqual(none)

    using dump = openKdumpfile(path)
    expect(dump.text('linux.uts.release')).toBe(guest.uname)
    expect(dump.text('linux.vmcoreinfo.lines.OSRELEASE')).toBe(guest.uname)
    expect(dump.number('cpu.number')).toBe(2n)

    await using vmcore = await openVmcore(path, { decompress })
    const verified = await verifyVmcore(vmcore)
    expect(verified).toMatchObject({ pages: summary.pages, zeroPages: summary.zeroPages, trailingBytes: 0 })
    expect(verified.byCompression[compression]).toBeGreaterThan(5000)
  })

  test('elf, where it takes the frame right before a segment for zeros', async () => {
    const path = join(dir, 'guest.elf')
    await writeDump(path, spec('elf'))
    const differences = compare(path)
    expect({ ...differences, extra: [] }).toEqual(none)
    // find_closest_file_load() of libkdumpfile takes a segment one page further on for the one that holds the page.
    for (const pfn of differences.extra) expect(stored.has(pfn + 1)).toBe(true)
    await using vmcore = await openVmcore(path)
    for (const pfn of differences.extra) expect(await vmcore.frameState(pfn)).toBe('hole')
  })
})

describe('the comparison fails when one byte of the file is flipped', () => {
  test.each(['none', 'zstd', 'lzo', 'snappy', 'zlib'] as const)('kdump, %s', async (compression) => {
    const path = join(dir, `flipped.${compression}`)
    await writeDump(path, spec('kdump', compression))
    await using vmcore = await openVmcore(path, { decompress })
    const page = await pageWithFlags(vmcore, compression)
    await flip(path, page.position + Math.floor(page.size / 2))

    const { wrong, missing, extra, refused } = compare(path)
    expect({ missing, extra }).toEqual({ missing: [], extra: [] })
    // snappy and lzo have no checksum: the flipped byte may only show in the content.
    expect([...wrong, ...refused]).toEqual([page.pfn])
    const into = new Uint8Array(PAGE)
    const expected = new Uint8Array(PAGE)
    fill(page.pfn, expected)
    const read = await vmcore.readPage(page.pfn, into).catch((error: unknown) => error)
    if (read === 'data') expect(Buffer.compare(into, expected)).not.toBe(0)
    else expect(read).toMatchObject({ name: 'VmcoreError', code: 'CORRUPT' })
  })

  async function pageWithFlags(
    vmcore: Awaited<ReturnType<typeof openVmcore>>,
    compression: string,
  ): Promise<{ pfn: number; position: number; size: number }> {
    for await (const batch of vmcore.storedPages()) {
      for (let i = batch.count >> 1; i < batch.count; i++) {
        const pfn = batch.pfns[i] as number
        const size = batch.sizes[i] as number
        const raw = size === PAGE
        const zero = (await vmcore.readPage(pfn, new Uint8Array(PAGE))) === 'zero'
        if (!zero && raw === (compression === 'none')) return { pfn, position: batch.positions[i] as number, size }
      }
    }
    throw new Error(`no page is stored with ${compression}`)
  }

  async function flip(path: string, position: number): Promise<void> {
    await using file = await open(path, 'r+')
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, position)
    byte[0] = (byte[0] as number) ^ 0x10
    await file.write(byte, 0, 1, position)
  }
})

describe('makedumpfile', () => {
  test('makes of our flattened file our plain one, byte by byte', async () => {
    const plain = join(dir, 'plain')
    const flattened = join(dir, 'flattened')
    const reassembled = join(dir, 'reassembled')
    await writeDump(plain, spec('kdump'))
    await writeDump(flattened, spec('flattened'))
    for (const version of ['machine', 'newest'] as const) {
      await rm(reassembled, { force: true })
      expect(
        await runWithFiles([...readerCommand('makedumpfile', version), '-R', reassembled], { input: flattened }),
      ).toBe(0)
      expect(Buffer.compare(await readFile(reassembled), await readFile(plain))).toBe(0)
    }
    await using vmcore = await openVmcore(flattened, { decompress })
    expect(vmcore.info.flattened).toBe(true)
    expect(await verifyVmcore(vmcore)).toMatchObject({ pages: stored.size, trailingBytes: 0 })
  })

  test.each([
    ['kdump', 'zlib', 'machine'],
    ['kdump', 'lzo', 'machine'],
    ['kdump', 'none', 'machine'],
    ['kdump', 'zstd', 'newest'],
    ['elf', 'none', 'machine'],
    ['elf', 'none', 'newest'],
  ] as const)('prints the log of the guest from %s, %s (%s)', async (format, compression, version) => {
    const path = join(dir, `log.${format}.${compression}.${version}`)
    const log = `${path}.log`
    await writeDump(path, spec(format, compression))
    const { status, stdout, stderr } = await makedumpfile(['--dump-dmesg', path, log], { version })
    expect({ status, stdout, stderr }).toMatchObject({ status: 0 })
    const lines = (await readFile(log, 'utf8')).trim().split('\n')
    expect(lines.length).toBeGreaterThan(300)
    expect(lines[0]).toContain(`Linux version ${guest.uname}`)
  })

  test('filters our ELF, and what it makes of it reads and verifies here', async () => {
    const source = join(dir, 'source.elf')
    await writeDump(source, spec('elf'))
    const page = new Uint8Array(PAGE)
    const expected = new Uint8Array(PAGE)
    for (const [name, argv, flattened] of [
      ['zlib', ['-c', '-d', '31'], false],
      ['lzo', ['-l', '-d', '1'], false],
      ['zstd', ['-z', '-d', '17'], false],
      ['elf', ['-E', '-d', '31'], false],
      // Pages of zeros as any other: the one that makedumpfile puts first is used by no frame.
      ['zlib, all of it', ['-c', '-d', '0'], false],
      ['zlib, in many cycles', ['-c', '-d', '31', '--cyclic-buffer', '1'], false],
      ['flattened kdump', ['-F', '-c', '-d', '31'], true],
      ['flattened elf', ['-F', '-E', '-d', '31'], true],
    ] as const) {
      const out = join(dir, `filtered.${name}`)
      const command = [...readerCommand('makedumpfile'), ...argv, source]
      expect([
        name,
        await runWithFiles(flattened ? command : [...command, out], flattened ? { output: out } : {}),
      ]).toEqual([name, 0])
      await using vmcore = await openVmcore(out, { decompress })
      const description = await describeVmcore(vmcore)
      expect(description).toMatchObject({ flattened, kernel: guest.uname, cpus: 2, hasVmcoreinfo: true })
      const verified = await verifyVmcore(vmcore)
      expect(verified.pages).toBeGreaterThan(10_000)
      expect(verified.pages).toBeLessThanOrEqual(stored.size)
      for await (const run of vmcore.stored()) {
        await vmcore.readPage(run.start, page)
        fill(run.start, expected)
        expect(Buffer.compare(page, expected)).toBe(0)
      }
    }
  })

  test('joins the parts of its split dump, and what it makes of them verifies here', async () => {
    const source = join(dir, 'whole.elf')
    await writeDump(source, spec('elf'))
    const [first, second, out] = ['part.1', 'part.2', 'joined'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ]
    const command = readerCommand('makedumpfile')
    expect(await runWithFiles([...command, '--split', '-c', '-d', '17', source, first, second], {})).toBe(0)
    await expect(openVmcore(first, { decompress })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    expect(await runWithFiles([...command, '--reassemble', first, second, out], {})).toBe(0)
    await using vmcore = await openVmcore(out, { decompress })
    const verified = await verifyVmcore(vmcore)
    expect(verified.pages).toBeGreaterThan(10_000)
    expect(verified.trailingBytes).toBe(0)
  })
})

test('every reader opens an ELF with more segments than e_phnum can count', async () => {
  const fragmented = await unpackFixture('virtio-v6.1-vmem')
  using whole = openMemoryView(fragmented.regions)
  const [low, high] = whole.extents
  if (!low || !high) throw new Error('the guest has two extents')
  // The kernel's memory in one piece; of the other, every second frame.
  const runs = [low]
  for (let start = high.start; start < high.start + high.count; start += 2) runs.push({ start, count: 1 })
  expect(runs.length).toBeGreaterThan(0xffff)
  const path = join(dir, 'many.elf')
  const log = `${path}.log`
  await writeDump(path, {
    format: 'elf',
    header: { elfNotes: fragmented.elfNotes },
    present: runs,
    stored: runs,
    fill: (pfn, page) => {
      if (whole.backed.has(pfn)) whole.read({ start: pfn, count: 1 }, page)
    },
    batchPages: 1000,
  })
  expect(await makedumpfile(['--dump-dmesg', path, log], { version: 'machine' })).toMatchObject({ status: 0 })
  expect(await readFile(log, 'utf8')).toContain(`Linux version ${fragmented.uname}`)
  expect((await crash(['--osrelease', path])).stdout.trim()).toBe(fragmented.uname)
  using dump = openKdumpfile(path)
  const found = Buffer.alloc(PAGE)
  const expected = Buffer.alloc(PAGE)
  for (const run of [runs[1], runs[0xfffe], runs[0xffff], runs.at(-1)]) {
    const pfn = run?.start ?? 0
    expected.fill(0)
    if (whole.backed.has(pfn)) whole.read({ start: pfn, count: 1 }, expected)
    expect(dump.read(pfn * PAGE, found)).toBe(true)
    expect(found.compare(expected)).toBe(0)
  }
})

describe('crash recognises', () => {
  test.each(formats)('%s', async (format) => {
    const path = join(dir, `crash.${format}`)
    await writeDump(path, spec(format))
    for (const version of ['machine', 'newest'] as const) {
      const { stdout } = await crash(['--osrelease', path], { version })
      expect(stdout.trim()).toBe(guest.uname)
    }
  })
})
