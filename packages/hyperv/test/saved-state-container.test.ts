import { mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openHyperv } from '@ullage/hyperv'
import { encodePartitionState, StorageWriter } from '@ullage/lab'
import { readElfNotes } from '@ullage/layout'
import { OfflineError, type OpenGuest } from '@ullage/offline-query'
import { afterAll, expect, test } from 'vitest'
import { edit, resum, SMALL_BLOCKS, SMALL_VP, smallPage, smallSavedState } from './small-saved-state.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-vmrs-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
const fresh = (): string => join(folder, `${files++}.vmrs`)

async function open(file: string): Promise<OpenGuest> {
  return openHyperv({ kind: 'saved-state', file }, { baseDir: folder, stateDir: folder })
}

async function refusal(file: string): Promise<OfflineError> {
  const error = await open(file).then(
    async (guest) => {
      await guest[Symbol.asyncDispose]()
      return undefined
    },
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(OfflineError)
  return error as OfflineError
}

function page(guest: OpenGuest, pfn: number): Uint8Array {
  const into = new Uint8Array(4096)
  guest.memory.read({ start: pfn, count: 1 }, into)
  return into
}

const codes = (guest: OpenGuest): string[] => guest.warnings.map(({ code }) => code)

/** Every frame is what was written. */
function isWhole(guest: OpenGuest): boolean {
  return SMALL_BLOCKS.every(({ start, count }) => {
    const into = new Uint8Array(count * 4096)
    guest.memory.read({ start, count }, into)
    return Array.from({ length: count }, (_, i) =>
      Buffer.compare(into.subarray(i * 4096, (i + 1) * 4096), smallPage(start + i)),
    ).every((order) => order === 0)
  })
}

/** Offsets in a small file: tables end it, one key table before a log of three pages. */
const logOf = (bytes: Buffer): number => Number(bytes.readBigUInt64LE(26))

test.each(['raw', 'pages', 'whole'] as const)('reads memory in %s blocks, registers and extents', async (form) => {
  await using guest = await open(smallSavedState(fresh(), { form }))
  expect(guest.identity).toEqual({ backend: 'hyperv', machine: 'x86_64', kind: 'file' })
  expect(guest.memory.extents.map(({ name, start, count }) => [name, start, count])).toEqual([
    ['RamMemoryBlock0', 0, 512],
    ['RamMemoryBlock1', 0x10_0000, 300],
    ['RamMemoryBlock2 (hot-added)', 0x20_0000, 256],
  ])
  expect(isWhole(guest)).toBe(true)
  expect(codes(guest)).toEqual(['UNVERIFIED_FORMAT'])
  expect(await guest.hostMemory()).toEqual({ backedBytes: 1068 * 4096, residentBytes: 1068 * 4096 })
})

test('blocks may be raw here and compressed there', async () => {
  await using guest = await open(smallSavedState(fresh(), { form: (block) => (block % 2 === 0 ? 'raw' : 'pages') }))
  expect(isWhole(guest)).toBe(true)
})

test('a block in another form of compression than the first is not guessed at', async () => {
  await using guest = await open(smallSavedState(fresh(), { form: (block) => (block === 2 ? 'whole' : 'pages') }))
  page(guest, 0)
  expect(() => page(guest, 0x10_0000)).toThrow(
    /frame 1048576 cannot be read: RamBlock2 of .* has [0-9]+ bytes, neither 1048576/,
  )
  expect(page(guest, 0x20_0000)).toEqual(smallPage(0x20_0000))
})

test('a RamBlock that is absent is unbacked, said so, and refused when read', async () => {
  await using guest = await open(smallSavedState(fresh(), { isAbsent: (pfn) => pfn === 256 }))
  const runs = []
  for await (const run of guest.backing.backing({ within: { start: 0, count: 600 } })) runs.push(run)
  expect(runs).toEqual([
    { start: 0, count: 256, state: 'unknown' },
    { start: 256, count: 344, state: 'unbacked' },
  ])
  expect(codes(guest)).toEqual(['UNVERIFIED_FORMAT', 'BLOCKS_ABSENT'])
  expect(() => page(guest, 300)).toThrow(/frame 300 cannot be read: .* has no RamBlock1$/)
  expect(page(guest, 255)).toEqual(smallPage(255))
})

test('registers become the notes that readers know', async () => {
  await using guest = await open(smallSavedState(fresh()))
  const { elfNotes, cpus } = await guest.notes()
  expect(cpus).toBe(1)
  const notes = [...readElfNotes(elfNotes)]
  expect(notes.map(({ name, type, desc }) => [name, type, desc.length])).toEqual([
    ['CORE', 1, 336],
    ['QEMU', 0, 440],
  ])
  const [prstatus, qemu] = notes.map(({ desc }) => new DataView(desc.buffer, desc.byteOffset)) as [DataView, DataView]
  const words = (view: DataView, at: number, count: number) =>
    Array.from({ length: count }, (_, i) => Number(view.getBigUint64(at + i * 8, true)))
  // r15 to rdi, orig_rax, rip, cs, eflags, rsp, ss, fs base, gs base, ds, es, fs, gs.
  expect(words(prstatus, 112, 15)).toEqual([15, 14, 13, 12, 5, 3, 11, 10, 9, 8, 0, 1, 2, 6, 7].map((i) => 0x1000 + i))
  expect(words(prstatus, 112 + 16 * 8, 11)).toEqual([
    0x1010, 0x301, 0x1011, 0x1004, 0x302, 0x400, 0x500, 0x303, 0x300, 0x304, 0x305,
  ])
  // cs: selector, limit, flags, base.
  expect([0, 4, 8, 16].map((at) => qemu.getUint32(152 + at, true))).toEqual([0x301, 0x201, 0xa0_9100, 0x100])
  expect(words(qemu, 392, 6)).toEqual([0x8005_0033, 0, 0xc2, 0x3000, 0xc4, 0xddd])
})

test('the later header counts, and a broken one does not', async () => {
  const right: [number, number][] = [
    [1, 0],
    [7, 8],
    [0, 0xffff],
    [0xffff, 0],
  ]
  for (const sequences of right) {
    const isFirst = ((sequences[0] - sequences[1]) & 0xffff) < 0x8000
    // The one that must not count has a version nobody knows.
    const version = (bytes: Buffer): void => void bytes.writeUInt32LE(0x300, isFirst ? 4096 + 10 : 10)
    await using guest = await open(
      edit(smallSavedState(fresh(), { sequences }), (bytes) => (version(bytes), resum(bytes))),
    )
    expect(isWhole(guest)).toBe(true)
  }
  for (const broken of [0, 4096]) {
    await using guest = await open(edit(smallSavedState(fresh()), (bytes) => void bytes.writeUInt32LE(1, broken + 4)))
    expect(isWhole(guest)).toBe(true)
  }
  await using same = await open(smallSavedState(fresh(), { sequences: [3, 3] }))
  expect(isWhole(same)).toBe(true)
})

test('a commit that waits in the replay log is taken as made', async () => {
  await using guest = await open(smallSavedState(fresh(), { pending: { table: 1 } }))
  expect(isWhole(guest)).toBe(true)
  expect(codes(guest)).toEqual(['UNVERIFIED_FORMAT', 'REPLAY_LOG'])
  expect((await guest.notes()).cpus).toBe(1)
})

test('many RamBlocks fill many key tables and object tables', async () => {
  const blocks = [{ start: 0, count: 400 * 256, read: (pfn: number, into: Uint8Array) => void into.fill(pfn / 256) }]
  await using guest = await open(smallSavedState(fresh(), { blocks }))
  for (const block of [0, 1, 226, 227, 228, 399]) {
    expect(page(guest, block * 256 + 5).every((byte) => byte === (block & 0xff))).toBe(true)
  }
})

test('values that no object table lists are read, and said', async () => {
  await using guest = await open(smallSavedState(fresh(), { unlisted: true }))
  expect(isWhole(guest)).toBe(true)
  expect(codes(guest)).toEqual(['UNVERIFIED_FORMAT', 'UNLISTED_VALUES'])
})

test('nodes of one name stand side by side, as in files of Hyper-V’s', async () => {
  const path = smallSavedState(fresh(), {
    also: (writer) => {
      writer.int('/configuration/devicea/guid', 1)
      writer.int('/configuration/deviceb/guid', 2)
    },
  })
  const same = (bytes: Buffer): void => {
    bytes.write('devicea', bytes.indexOf('deviceb'))
    resum(bytes)
  }
  await using guest = await open(edit(path, same))
  expect(isWhole(guest)).toBe(true)
})

test('without registers memory is still read, and that is said', async () => {
  const states: (Uint8Array | undefined)[] = [
    undefined,
    new Uint8Array(10),
    encodePartitionState([]),
    encodePartitionState([SMALL_VP]).subarray(0, 4500),
    encodePartitionState([SMALL_VP], { vtl: 2 }),
    encodePartitionState([{ ...SMALL_VP, general: [1n] }]),
    encodePartitionState([{ ...SMALL_VP, index: 2048 }]),
    // Never filled in; paging without protection; bits that there are not; a page table outside RAM.
    ...[
      [0n, 0n],
      [0x8000_0010n, 0x3000n],
      [0xffff_8000_8005_0033n, 0x3000n],
      [0x8005_0033n, 0x7_0000_0000n],
    ].map(([cr0, cr3]) => {
      const control = [cr0, 0n, cr3, 0n, 0n, 0n] as bigint[]
      return encodePartitionState([SMALL_VP, { ...SMALL_VP, index: 1, control }])
    }),
  ]
  for (const partitionState of states) {
    await using guest = await open(smallSavedState(fresh(), { partitionState }))
    expect(codes(guest)).toEqual(['UNVERIFIED_FORMAT', 'NO_REGISTERS'])
    const { elfNotes, cpus } = await guest.notes()
    expect([elfNotes.length, cpus]).toEqual([0, 0])
    expect(page(guest, 7)).toEqual(smallPage(7))
  }
})

test('a vCPU that does not page has registers like any other', async () => {
  const control = [0x6000_0010n, 0n, 0n, 0n, 0n, 0n]
  const partitionState = encodePartitionState([{ ...SMALL_VP, control }])
  await using guest = await open(smallSavedState(fresh(), { partitionState }))
  expect(codes(guest)).toEqual(['UNVERIFIED_FORMAT'])
  expect((await guest.notes()).cpus).toBe(1)
})

test('vCPUs come in the order of their numbers', async () => {
  const vps = [5, 0, 2].map((index) => ({
    ...SMALL_VP,
    index,
    general: SMALL_VP.general.map((_, i) => BigInt(index * 100 + i)),
  }))
  await using guest = await open(smallSavedState(fresh(), { partitionState: encodePartitionState(vps) }))
  const { elfNotes, cpus } = await guest.notes()
  expect(cpus).toBe(3)
  const rips = [...readElfNotes(elfNotes)].filter(({ name }) => name === 'CORE').map(({ desc }) => desc[112 + 16 * 8])
  expect(rips).toEqual([16, (200 + 16) & 0xff, (500 + 16) & 0xff])
})

const metadata =
  (change: (value: Buffer) => void) =>
  (bytes: Buffer): void => {
    const name = bytes.indexOf('RamMemoryBlock1\0')
    change(bytes.subarray(name + 16 + 4, name + 16 + 4 + 48))
    resum(bytes)
  }

test.each<[string, string, RegExp, (path: string) => void]>([
  ['an empty file', 'INVALID', /is empty/, (path) => truncateSync(path, 0)],
  [
    'a file of three bytes',
    'INVALID',
    /begins with 0x282014, a \.vmrs with 0x1282014/,
    (path) => truncateSync(path, 3),
  ],
  ['something else', 'INVALID', /begins with 0x464c457f/, (path) => writeFileSync(path, '\x7fELF and so on')],
  ['headers only', 'CORRUPT', /the replay log should be at bytes/, (path) => truncateSync(path, 8192)],
  ['a file cut in half', 'CORRUPT', /should be at bytes .* the file has only/, (path) => truncateSync(path, 400_000)],
  [
    'a RamBlock beyond the end',
    'CORRUPT',
    /RamBlock1 should be at bytes \[.*\), the file has only [0-9]+: it was cut off/,
    (path) =>
      void edit(path, (bytes) => (bytes.writeUInt32LE(0x7fff_0000, bytes.indexOf('RamBlock1\0') + 14), resum(bytes))),
  ],
  [
    'two broken headers',
    'CORRUPT',
    /neither copy of its header has the right checksum/,
    (path) => void edit(path, (bytes) => [0, 4096].forEach((at) => bytes.writeUInt32LE(1, at + 4))),
  ],
  [
    'two headers of one number that differ',
    'CORRUPT',
    /both copies of its header have sequence number 9/,
    (path) =>
      void edit(
        path,
        (bytes) => (
          [0, 4096].forEach((at) => bytes.writeUInt16LE(9, at + 8)), bytes.writeUInt32LE(1, 14), resum(bytes)
        ),
      ),
  ],
  [
    'another version of the format',
    'UNSUPPORTED',
    /expected version 0x400 of HyperVStorage in .*, found 0x301/,
    (path) =>
      void edit(path, (bytes) => ([0, 4096].forEach((at) => bytes.writeUInt32LE(0x301, at + 10)), resum(bytes))),
  ],
  [
    'a broken replay log',
    'CORRUPT',
    /the checksum of the replay log is wrong/,
    (path) => void edit(path, (bytes) => void bytes.writeUInt32LE(1, logOf(bytes) + 8)),
  ],
  [
    'a replay log that counts more than it holds',
    'CORRUPT',
    /the replay log counts 146 entries, it has room for 145/,
    (path) =>
      void edit(
        path,
        (bytes) => (
          bytes.writeUInt32LE(146, logOf(bytes) + 8), bytes.writeUInt32LE(900, logOf(bytes) + 13), resum(bytes)
        ),
      ),
  ],
  [
    'an entry of the replay log that was not written',
    'CORRUPT',
    /the checksum of entry 0 of the replay log is wrong/,
    (path) =>
      void edit(
        path,
        (bytes) => (
          bytes.writeUInt32LE(1, logOf(bytes) + 8), resum(bytes), bytes.fill(0, logOf(bytes) + 34, logOf(bytes) + 62)
        ),
      ),
  ],
  [
    'a broken object table',
    'CORRUPT',
    /the checksum of entry 0 of the object table at byte 8192 is wrong/,
    (path) => void edit(path, (bytes) => void bytes.writeUInt32LE(1, 8200 + 13)),
  ],
  [
    'no object table',
    'CORRUPT',
    /expected the object table at byte 8192, found signature 0x0/,
    (path) => void edit(path, (bytes) => bytes.fill(0, 8192, 8200)),
  ],
  [
    'a loop of object tables',
    'CORRUPT',
    /the object table at byte 8192 is reached twice/,
    (path) =>
      void edit(
        path,
        (bytes) => (bytes.fill(0, 12268, 12286), (bytes[12268] = 1), bytes.writeUInt32LE(8192, 12273), resum(bytes)),
      ),
  ],
  [
    'one key table listed twice',
    'CORRUPT',
    /two of its tables share byte/,
    (path) => void edit(path, (bytes) => void bytes.copy(bytes, 12250, 8200, 8218)),
  ],
  [
    'a broken key',
    'CORRUPT',
    /the checksum of the key at byte 10 of key table 1 is wrong/,
    (path) => void edit(path, (bytes) => void bytes.write('S', bytes.indexOf('savedstate\0'))),
  ],
  [
    'a key whose parent is nowhere',
    'CORRUPT',
    /no node stands at 0x[0-9a-f]+, where a key has its parent/,
    (path) =>
      void edit(path, (bytes) => (bytes.writeUInt16LE(77, bytes.indexOf('RamMemoryBlock1\0') - 15), resum(bytes))),
  ],
  [
    'a type of key that nobody knows',
    'UNSUPPORTED',
    /expected keys of types 1 and 3 to 9 in .*, found type 10/,
    (path) => void edit(path, (bytes) => ((bytes[bytes.indexOf('VmVersion\0') - 21] = 10), resum(bytes))),
  ],
  [
    'no version of the guest',
    'UNSUPPORTED',
    /expected \/savedstate\/VmVersion, .* found no such key/,
    (path) => void edit(path, (bytes) => (bytes.write('XmVersion', bytes.indexOf('VmVersion\0')), resum(bytes))),
  ],
  [
    'a memory block of another version',
    'UNSUPPORTED',
    /expected RamMemoryBlock1 of version 3 in .*, found 4/,
    (path) =>
      void edit(
        path,
        metadata((value) => void value.writeUInt32LE(4)),
      ),
  ],
  [
    'a memory block in the middle of a RamBlock',
    'UNSUPPORTED',
    /to begin with a RamBlock of 256 frames in .*, found frame 700 of those stored/,
    (path) =>
      void edit(
        path,
        metadata((value) => void value.writeUInt32LE(700, 16)),
      ),
  ],
  [
    'two memory blocks with one frame',
    'CORRUPT',
    /RamMemoryBlock0 and RamMemoryBlock1 share frame 511/,
    (path) =>
      void edit(
        path,
        metadata((value) => void value.writeUInt32LE(511, 24)),
      ),
  ],
  [
    'two memory blocks with one RamBlock',
    'CORRUPT',
    /RamMemoryBlock0 and RamMemoryBlock1 share RamBlock 1/,
    (path) =>
      void edit(
        path,
        metadata((value) => void value.writeUInt32LE(256, 16)),
      ),
  ],
  [
    'RAM far larger than what is stored',
    'CORRUPT',
    /its memory blocks have [0-9]+ frames .* only 768 are stored: no guest has RAM so sparse/,
    (path) =>
      void edit(
        path,
        metadata(
          (value) => (
            value.writeBigUInt64LE(1n << 36n, 8),
            value.writeUInt32LE(0x10_0000_00, 24),
            value.writeUInt32LE(1 << 20, 16)
          ),
        ),
      ),
  ],
  [
    'a gap in the numbers of memory blocks',
    'CORRUPT',
    /found 2 such keys, 1 of them in order from 0/,
    (path) => void edit(path, (bytes) => (bytes.write('X', bytes.indexOf('RamMemoryBlock1\0')), resum(bytes))),
  ],
])('refuses %s', async (_, code, message, change) => {
  const path = smallSavedState(fresh())
  change(path)
  const error = await refusal(path)
  expect(error.message).toMatch(message)
  expect(error.code).toBe(code)
  expect(error.message).toContain(path)
})

test.each<[string, RegExp, (bytes: Buffer, entry: number) => void]>([
  [
    'the headers',
    /keeps off the headers .* writes bytes \[4096, 8192\)/,
    (bytes, entry) => bytes.writeUInt32LE(4096, entry),
  ],
  ['the log itself', /keeps off itself/, (bytes, entry) => bytes.writeUInt32LE(logOf(bytes) + 1, entry)],
  [
    'beyond the end',
    /writes inside the file .* writes bytes/,
    (bytes, entry) => bytes.writeUInt32LE(bytes.length, entry),
  ],
  [
    'more data than the log has',
    /the entries of the replay log have more data than its 12288 bytes/,
    (bytes, entry) => bytes.writeUInt32LE(12289, entry + 8),
  ],
  [
    'data outside the log',
    /the data of entry 0 of the replay log lies outside/,
    (bytes, entry) => bytes.writeUInt32LE(3 << 12, entry + 12),
  ],
  [
    'other data',
    /the checksum of the data of entry 0/,
    (bytes) => bytes.fill(7, logOf(bytes) + 4096, logOf(bytes) + 4100),
  ],
])('refuses a replay log that writes %s', async (_, message, change) => {
  const path = edit(smallSavedState(fresh(), { pending: { table: 1 } }), (bytes) => {
    change(bytes, logOf(bytes) + 34)
    resum(bytes)
  })
  expect((await refusal(path)).message).toMatch(message)
})

test('refuses what was made in another way, and says what it found', async () => {
  const old = await refusal(smallSavedState(fresh(), { vmVersion: 0x0500 }))
  expect(`${old.code} ${old.message}`).toMatch(
    /^UNSUPPORTED expected a version of the guest above 0x500 in .*, found 0x500$/,
  )
  const arm = await refusal(smallSavedState(fresh(), { partitionState: encodePartitionState([], { vendor: 16 }) }))
  expect(`${arm.code} ${arm.message}`).toMatch(
    /^UNSUPPORTED expected the state of an x86_64 guest in .*, found that of an arm64/,
  )
  const deep = smallSavedState(fresh(), { also: (writer) => writer.int(`/${`${'x'.repeat(200)}/`.repeat(6)}end`, 1) })
  expect((await refusal(deep)).message).toMatch(/expected paths of keys of 1024 characters at most/)
  const nested = smallSavedState(fresh(), { also: (writer) => writer.int(`/${'x/'.repeat(40)}end`, 1) })
  expect((await refusal(nested)).message).toMatch(/its keys nest deeper than 32/)
  const running = fresh()
  const writer = new StorageWriter(running)
  writer.int('/savedstate/VmVersion', 0x0a00)
  writer.finish()
  const none = await refusal(running)
  expect(`${none.code} ${none.message}`).toMatch(
    /^CORRUPT .* found 0 such keys.* it holds no memory, as the \.vmrs of a guest that runs/,
  )
})

test.each(['bin', 'vsv', 'VSV'])('says of the older pair, by its .%s, that it is not read', async (ending) => {
  const path = `${fresh()}.${ending}`
  writeFileSync(path, Buffer.alloc(8192, 1))
  const { code, message } = await refusal(path)
  expect(`${code} ${message}`).toMatch(/^UNSUPPORTED .* half of the pair that Hyper-V wrote before Windows Server 2016/)
})

test('tells what is at the path, whatever that is', async () => {
  expect((await refusal('absent.vmrs')).message).toMatch(
    /^expected a saved state of Hyper-V \(\.vmrs\) at .*absent\.vmrs, found: .*ENOENT/,
  )
  expect((await refusal('.')).message).toMatch(/is not a regular file|EISDIR/)
  const moved = smallSavedState(fresh())
  renameSync(moved, `${moved}.bin`)
  await using guest = await open(`${moved}.bin`)
  expect(isWhole(guest)).toBe(true)
})

test('an abort is heeded', async () => {
  const signal = AbortSignal.abort()
  const path = smallSavedState(fresh())
  await expect(
    openHyperv({ kind: 'saved-state', file: path }, { baseDir: folder, stateDir: folder, signal }),
  ).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
})
