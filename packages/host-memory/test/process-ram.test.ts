import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { pageSize, punchHole, reserveSpace, scanPages } from '@ullage/native'
import { afterAll, expect, test } from 'vitest'
import { openFileRam, openHostProcess, openProcessRam } from '../src/index.ts'
import { PagemapReader } from '../src/pagemap.ts'
import { Mapper } from './mapper.ts'
import { expectContent, expectedRuns, runsOf, thrownBy } from './source-assertions.ts'

const page = pageSize()
const pages = 256
const sizeBytes = pages * page
const folder = mkdtempSync('/dev/shm/ullage-host-memory-')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a shared tmpfs file: holes are unbacked, what is written is backed, reading all of it allocates nothing', async () => {
  await using mapper = new Mapper()
  const path = join(folder, 'ram with spaces')
  const fd = await mapper.open(path)
  await mapper.truncate(fd, sizeBytes + 16 * page)
  const address = await mapper.map({ fd, sizeBytes, offsetBytes: 16 * page, shared: true })
  const bytes = new Map([
    [0, 1],
    [3, 2],
    [10, 0],
    [11, 4],
    [255, 5],
  ])
  for (const [index, byte] of bytes) await mapper.write(address + index * page, byte, page)
  // The page before the mapping belongs to the file, not to the source.
  const own = openSync(path, 'r+')
  writeSync(own, 'before', 15 * page)
  reserveSpace(own, (16 + 50) * page, 2 * page)
  await mapper.write(address + 60 * page, 9, 4 * page)
  punchHole(own, (16 + 60) * page, 4 * page)
  closeSync(own)

  using process = openHostProcess(mapper.pid)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  expect(source.kind).toBe('sharedFile')
  const before = {
    blocks: statSync(path).blocks,
    rss: mapper.memoryKib('Rss'),
    anon: mapper.memoryKib('Anonymous'),
  }
  expect(runsOf(source)).toEqual(expectedRuns(pages, [0, 3, 10, 11, 255]))
  expectContent(source, bytes)
  expect(runsOf(source)).toEqual(expectedRuns(pages, [0, 3, 10, 11, 255]))
  // The two pages that are only reserved count in st_blocks and in the page cache, yet hold nothing.
  expect(source.figures()).toEqual({ backedBytes: 5 * page, residentBytes: 5 * page })
  expect({
    blocks: statSync(path).blocks,
    rss: mapper.memoryKib('Rss'),
    anon: mapper.memoryKib('Anonymous'),
  }).toEqual(before)

  // The same through the file alone, and proof that the figures would have shown an allocation.
  using byPath = openFileRam({ path, offsetBytes: 16 * page, sizeBytes })
  expect(runsOf(byPath)).toEqual(expectedRuns(pages, [0, 3, 10, 11, 255]))
  await mapper.touch(address + 100 * page, 1)
  expect(statSync(path).blocks).toBe(before.blocks + page / 512)
  expect(runsOf(byPath)).toEqual(expectedRuns(pages, [0, 3, 10, 11, 100, 255]))
})

test('a range inside a source is answered for that range alone', async () => {
  await using mapper = new Mapper()
  const fd = await mapper.memfd('ullage-test')
  await mapper.truncate(fd, sizeBytes)
  const address = await mapper.map({ fd, sizeBytes, shared: true })
  await mapper.write(address + 10 * page, 1, 10 * page)
  using process = openHostProcess(mapper.pid)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  expect([...source.backing({ startBytes: 12 * page + 100, endBytes: 20 * page + 7 })]).toEqual([
    { startBytes: 12 * page + 100, endBytes: 20 * page, state: 'backed' },
    { startBytes: 20 * page, endBytes: 20 * page + 7, state: 'unbacked' },
  ])
  expect([...source.backing({ startBytes: 5, endBytes: 5 })]).toEqual([])
  expect(() => source.backing({ startBytes: 0, endBytes: sizeBytes + 1 })).toThrow(RangeError)
  expect(() => source.read(sizeBytes - 1, new Uint8Array(2))).toThrow(RangeError)
})

test.each([
  ['its own descriptor', async (_mapper: Mapper, _fd: number) => undefined],
  ['map_files, its descriptor being closed', (mapper: Mapper, fd: number) => mapper.close(fd)],
])('a memfd is opened through %s', async (_how, prepare) => {
  await using mapper = new Mapper()
  const fd = await mapper.memfd('memory-backend-memfd')
  await mapper.truncate(fd, sizeBytes)
  const address = await mapper.map({ fd, sizeBytes, shared: true })
  await mapper.write(address + 7 * page, 7, page)
  await prepare(mapper, fd)
  using process = openHostProcess(mapper.pid)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  const rss = mapper.memoryKib('Rss')
  expect(source.kind).toBe('sharedFile')
  expect(source.about).toContain('/memfd:memory-backend-memfd (deleted)')
  expect(runsOf(source)).toEqual(expectedRuns(pages, [7]))
  expectContent(source, new Map([[7, 7]]))
  expect(mapper.memoryKib('Rss')).toBe(rss)
})

test('a file that was deleted and replaced by another of its name is still the one that is mapped', async () => {
  await using mapper = new Mapper()
  const path = join(folder, 'replaced')
  const fd = await mapper.open(path)
  await mapper.truncate(fd, sizeBytes)
  const address = await mapper.map({ fd, sizeBytes, shared: true })
  await mapper.write(address, 1, page)
  unlinkSync(path)
  const other = await mapper.open(path)
  await mapper.truncate(other, sizeBytes)
  using process = openHostProcess(mapper.pid)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  expectContent(source, new Map([[0, 1]]))
})

test('anonymous shared memory (/dev/zero) is shared memory with holes', async () => {
  await using mapper = new Mapper()
  const address = await mapper.map({ sizeBytes, shared: true })
  await mapper.write(address + 9 * page, 3, 2 * page)
  using process = openHostProcess(mapper.pid)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  const rss = mapper.memoryKib('Rss')
  expect(source.kind).toBe('sharedFile')
  expect(runsOf(source)).toEqual(expectedRuns(pages, [9, 10]))
  expectContent(source, new Map([9, 10].map((index) => [index, 3])))
  expect(mapper.memoryKib('Rss')).toBe(rss)
})

test('private anonymous memory: touched is backed, untouched and given back is unbacked, reading allocates nothing', async () => {
  await using mapper = new Mapper()
  const address = await mapper.map({ sizeBytes, shared: false })
  await mapper.write(address + 2 * page, 2, 3 * page)
  await mapper.write(address + 20 * page, 0, page)
  await mapper.write(address + 40 * page, 4, 8 * page)
  await mapper.advise(address + 42 * page, 2 * page, 4)
  // Read, never written: the kernel maps its page of zeros, behind which there is no memory of the process. One that has no
  // such page to map (guests of PVM) gives memory for this, too.
  const anonymousKib = mapper.memoryKib('Anonymous')
  await mapper.touch(address + 60 * page, 4 * page)
  const isGiven = mapper.memoryKib('Anonymous') > anonymousKib
  using process = openHostProcess(mapper.pid)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  expect(source.kind).toBe('anonymous')
  const written = [2, 3, 4, 20, 40, 41, 44, 45, 46, 47]
  const backed = tellsZeroPage() && !isGiven ? written : [...written, 60, 61, 62, 63]
  const before = { anon: mapper.memoryKib('Anonymous'), tables: mapper.pageTablesKib() }
  expect(runsOf(source)).toEqual(expectedRuns(pages, backed))
  expectContent(source, new Map(backed.map((index) => [index, index < 5 ? 2 : index === 20 || index >= 60 ? 0 : 4])))
  expect(runsOf(source)).toEqual(expectedRuns(pages, backed))
  expect(source.figures()).toEqual({ backedBytes: backed.length * page, residentBytes: backed.length * page })
  expect({ anon: mapper.memoryKib('Anonymous'), tables: mapper.pageTablesKib() }).toEqual(before)
})

/** Whether this kernel has PAGEMAP_SCAN (6.7); before, a page of zeros counts as backed. */
function tellsZeroPage(): boolean {
  const fd = openSync('/proc/self/pagemap', 'r')
  try {
    return scanPages(fd, 0, page) !== undefined
  } finally {
    closeSync(fd)
  }
}

test('a scan of the pagemap and its entries tell the same, over many runs and batches', async () => {
  await using mapper = new Mapper()
  const size = 140_000 * page
  const address = await mapper.map({ sizeBytes: size, shared: false })
  for (let i = 0; i < 3000; i++) await mapper.write(address + i * 2 * page, 1, page)
  for (const at of [65_535, 65_536, 131_071, 139_999]) await mapper.write(address + at * page, 1, page)
  using process = openHostProcess(mapper.pid)
  using pagemapFd = closing(openSync(`/proc/${mapper.pid}/pagemap`, 'r'))
  const entries = new PagemapReader({ fd: pagemapFd.fd, pageBytes: page, about: 'the test', scan: false })
  const present = (reader: PagemapReader, from: number, to: number): number[][] => {
    const runs: number[][] = []
    for (const run of reader.runs(address + from, address + to)) {
      const [start, end] = [run.startBytes - address, run.endBytes - address]
      const last = runs.at(-1)
      expect(start).toBe(last?.[1] ?? from)
      if (last && last[2] === Number(run.present)) last[1] = end
      else runs.push([start, end, Number(run.present)])
    }
    expect(runs.at(-1)?.[1]).toBe(to)
    return runs
  }
  for (const [from, to] of [
    [0, size],
    [page + 17, 5000 * page - 3],
    [65_535 * page, 65_537 * page],
    [100_000 * page, 100_001 * page],
  ] as const) {
    expect(present(process.pagemap, from, to)).toEqual(present(entries, from, to))
  }
  expect(present(process.pagemap, 0, size).filter(([, , state]) => state === 1).length).toBe(3003)
})

function closing(fd: number): Disposable & { fd: number } {
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

test('a file mapped share=off: private pages come from the process, the rest from the file', async () => {
  await using mapper = new Mapper()
  const path = join(folder, 'private')
  const fd = await mapper.open(path)
  await mapper.truncate(fd, sizeBytes + 4 * page)
  const own = openSync(path, 'r+')
  for (const index of [5, 6, 7]) writeSync(own, Buffer.alloc(page, 0xf0 + index), 0, page, (4 + index) * page)
  const address = await mapper.map({ fd, sizeBytes, offsetBytes: 4 * page, shared: false })
  await mapper.write(address + 6 * page, 6, page)
  await mapper.write(address + 30 * page, 30, 2 * page)
  await mapper.touch(address + 7 * page, 1)
  using process = openHostProcess(mapper.pid)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  expect(source.kind).toBe('privateFile')
  const content = new Map([
    [5, 0xf5],
    [6, 6],
    [7, 0xf7],
    [30, 30],
    [31, 30],
  ])
  const before = {
    blocks: statSync(path).blocks,
    anon: mapper.memoryKib('Anonymous'),
    rss: mapper.memoryKib('Rss'),
  }
  expect(runsOf(source)).toEqual(expectedRuns(pages, [...content.keys()]))
  expectContent(source, content)
  expect(source.figures().backedBytes).toBe(5 * page)
  expect({
    blocks: statSync(path).blocks,
    anon: mapper.memoryKib('Anonymous'),
    rss: mapper.memoryKib('Rss'),
  }).toEqual(before)
  // What QEMU does on inflate with share=off: the private page goes, and the file's content shows again.
  await mapper.advise(address + 6 * page, page, 4)
  content.set(6, 0xf6)
  expectContent(source, content)
  closeSync(own)
})

test('a mapping that the kernel has split is one source; one with a gap or another file in it is none', async () => {
  await using mapper = new Mapper()
  const fd = await mapper.memfd('ullage-test')
  await mapper.truncate(fd, sizeBytes)
  const address = await mapper.map({ fd, sizeBytes, shared: true })
  await mapper.write(address + 99 * page, 9, page)
  await mapper.protect(address + 100 * page, 10 * page)
  using process = openHostProcess(mapper.pid)
  expect(
    process.areas().filter((area) => area.startBytes >= address && area.endBytes <= address + sizeBytes).length,
  ).toBe(3)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  expect(runsOf(source)).toEqual(expectedRuns(pages, [99]))
  using inner = openProcessRam(process, { addressBytes: address + 99 * page, sizeBytes: 2 * page })
  expect(runsOf(inner)).toEqual([
    [0, 1, 'backed'],
    [1, 2, 'unbacked'],
  ])
  await mapper.unmap(address + 50 * page, page)
  expect(thrownBy(() => openProcessRam(process, { addressBytes: address, sizeBytes }))).toMatchObject({
    code: 'INVALID',
    message: expect.stringContaining('found no single mapping'),
  })
})

test('a process that ends, and one that is not there, are said so', async () => {
  await using mapper = new Mapper()
  const address = await mapper.map({ sizeBytes, shared: false })
  await mapper.write(address, 1, page)
  using process = openHostProcess(mapper.pid)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  await mapper.kill()
  expect(thrownBy(() => source.read(0, new Uint8Array(page)))).toMatchObject({ code: 'GONE' })
  expect(thrownBy(() => [...source.backing({ startBytes: 0, endBytes: page })])).toMatchObject({ code: 'GONE' })
  expect(thrownBy(() => process.areas())).toMatchObject({ code: 'GONE' })
  expect(thrownBy(() => openHostProcess(2 ** 22 + 7))).toMatchObject({ code: 'NOT_FOUND' })
  expect(thrownBy(() => openHostProcess(-1))).toMatchObject({ code: 'INVALID' })
})

test('anonymous memory that is no longer mapped is not zeros', async () => {
  await using mapper = new Mapper()
  const address = await mapper.map({ sizeBytes, shared: false })
  await mapper.write(address, 1, page)
  using process = openHostProcess(mapper.pid)
  using source = openProcessRam(process, { addressBytes: address, sizeBytes })
  await mapper.unmap(address + 10 * page, page)
  source.read(0, new Uint8Array(page))
  expect(thrownBy(() => source.read(10 * page, new Uint8Array(page)))).toMatchObject({ code: 'GONE' })
})

test('a file truncated after it was opened gives an error with the first missing byte, not zeros', () => {
  const path = join(folder, 'truncated')
  const fd = openSync(path, 'w+')
  writeSync(fd, Buffer.alloc(8 * page, 1))
  using source = openFileRam({ path, offsetBytes: page, sizeBytes: 7 * page })
  ftruncateSync(fd, 4 * page + 100)
  const error = thrownBy(() => source.read(page, new Uint8Array(5 * page)))
  expect(error).toMatchObject({ code: 'GONE', offsetBytes: 3 * page + 100 })
  closeSync(fd)
})

test('a process of another user is DENIED with what to do', () => {
  const code = `
    const { openHostProcess } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)})
    process.setgid(65534); process.setuid(65534)
    try { openHostProcess(${process.pid}) } catch (error) { console.log(error.code, error.message) }`
  const { getuid } = process
  if (getuid?.() !== 0) throw new Error('this test runs as root: it becomes another user')
  const { stdout } = spawnSync(process.execPath, ['--conditions=@ullage/source', '--input-type=module', '-e', code], {
    encoding: 'utf8',
  })
  expect(stdout).toMatch(/^DENIED cannot open the .* of process \d+: .*; it takes root/)
})
