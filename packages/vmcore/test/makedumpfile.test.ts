import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makedumpfile, readerCommand } from '@ullage/lab'
import { describe, expect, test } from 'vitest'
import { describeVmcore } from '../src/describe-vmcore.ts'
import { openVmcore } from '../src/open-vmcore.ts'
import { verifyVmcore } from '../src/verify-vmcore.ts'
import { decompress } from './page-codecs.ts'
import { runWithFiles } from './run-with-files.ts'
import { writeDump } from './write-dump.ts'
import { dir, fill, guest, PAGE, spec, stored } from './dumped-guest.ts'

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
