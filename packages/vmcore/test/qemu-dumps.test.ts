import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { FIXTURE_NAMES, unpackFixture } from '@ullage/lab'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openVmcore } from '../src/open-vmcore.ts'
import { verifyVmcore } from '../src/verify-vmcore.ts'
import { decompress } from './page-codecs.ts'
import { fillByPfn } from './write-dump.ts'

const PAGE = 4096
const RAM_PAGES = 4096

let dir: string
let ram: Buffer
let qemu: ChildProcess
let answers: AsyncIterator<string>

/** A machine that never runs: its RAM is what the file had, but for the firmware's. */
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ullage-qemu-dumps-'))
  ram = Buffer.alloc(RAM_PAGES * PAGE)
  for (let pfn = 0; pfn < RAM_PAGES; pfn++) fillByPfn(pfn, ram.subarray(pfn * PAGE, (pfn + 1) * PAGE))
  const file = join(dir, 'ram')
  await writeFile(file, ram)
  const bytes = `${RAM_PAGES * PAGE}`
  qemu = spawn(
    'qemu-system-x86_64',
    `-S -nodefaults -display none -accel tcg -qmp stdio -m ${bytes}b -machine q35,memory-backend=ram`
      .split(' ')
      .concat('-object', `memory-backend-file,id=ram,share=on,mem-path=${file},size=${bytes}`),
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  if (!qemu.stdout) throw new Error('no output of QEMU')
  const lines: Interface = createInterface({ input: qemu.stdout })
  answers = lines[Symbol.asyncIterator]()
  await command('qmp_capabilities')
})

afterAll(async () => {
  if (qemu && qemu.exitCode === null) {
    const ended = once(qemu, 'exit')
    qemu.kill()
    await ended
  }
  await rm(dir, { recursive: true, force: true })
})

async function command(execute: string, args: Record<string, unknown> = {}): Promise<void> {
  qemu.stdin?.write(`${JSON.stringify({ execute, arguments: args })}\n`)
  for (;;) {
    const { value, done } = await answers.next()
    if (done) throw new Error('QEMU ended')
    const answer = JSON.parse(value) as { return?: unknown; error?: { desc: string } }
    if (answer.error) throw new Error(`${execute}: ${answer.error.desc}`)
    if (answer.return !== undefined) return
  }
}

test.each([
  ['elf', 'elf', false],
  ['kdump-zlib', 'kdump', true],
] as const)('reads what QEMU writes as %s', async (format, expected, flattened) => {
  const path = join(dir, `guest.${format}`)
  await command('dump-guest-memory', { paging: false, protocol: `file:${path}`, format })
  await using vmcore = await openVmcore(path, { decompress })
  expect(vmcore.info).toMatchObject({ format: expected, flattened, pageBytes: PAGE, cpus: 1, incomplete: false })
  const verified = await verifyVmcore(vmcore)
  expect(verified.pages).toBeGreaterThanOrEqual(RAM_PAGES)
  expect(verified.trailingBytes).toBe(0)
  const page = Buffer.alloc(PAGE)
  // From 640 KiB to 1 MiB the machine shows firmware and devices, not this memory.
  for (const pfn of [0, 1, 2, 0x9f, 0x100, 0x101, 0x102, RAM_PAGES - 1]) {
    const kind = await vmcore.readPage(pfn, page)
    expect(kind).toBe(pfn % 3 === 0 ? 'zero' : 'data')
    expect(page.compare(ram, pfn * PAGE, (pfn + 1) * PAGE)).toBe(0)
  }
})

test('finds program headers that do not follow the ELF header', async () => {
  const path = join(dir, 'moved.elf')
  await command('dump-guest-memory', { paging: false, protocol: `file:${path}`, format: 'elf' })
  const file = await readFile(path)
  expect(file.readBigUInt64LE(0x20)).toBeGreaterThan(64n)
})

test.each(FIXTURE_NAMES)('reads the notes of %s, in a dump of one frame', async (name) => {
  const { notesFile, uname } = await unpackFixture(name)
  await using vmcore = await openVmcore(notesFile)
  expect(vmcore.info).toMatchObject({ format: 'elf', machine: 'x86_64', storedFrames: 1, cpus: 2 })
  expect(vmcore.info.vmcoreinfo).toContain(`OSRELEASE=${uname}\n`)
  expect(await verifyVmcore(vmcore)).toMatchObject({ pages: 1, trailingBytes: 0 })
})

test('a dump that QEMU could not finish is truncated', async () => {
  for (const format of ['elf', 'kdump-zlib']) {
    const path = join(dir, `cut.${format}`)
    await command('dump-guest-memory', { paging: false, protocol: `file:${path}`, format })
    await using file = await open(path, 'r+')
    await file.truncate((await file.stat()).size - 100)
    await expect(openVmcore(path)).rejects.toMatchObject({ code: 'TRUNCATED' })
  }
})
