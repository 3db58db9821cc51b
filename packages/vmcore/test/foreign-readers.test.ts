import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crash, makedumpfile, openKdumpfile, openMemoryView, unpackFixture } from '@ullage/lab'
import { expect, test } from 'vitest'
import { writeDump } from './write-dump.ts'
import { dir, PAGE } from './dumped-guest.ts'

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
