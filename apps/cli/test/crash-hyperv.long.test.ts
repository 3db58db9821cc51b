import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crashPrints, makedumpfile, requireKeptVmlinux, unpackHypervFixture, writeRawCore } from '@ullage/lab'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

const COMMANDS = ['sys', 'ps', 'kmem -i', 'bt -a', 'log', 'mod', 'files', 'mount', 'net', 'dev', 'runq'] as const

const folder = mkdtempSync(join(tmpdir(), 'ullage-crash-hyperv-'))
afterAll(() => rmSync(folder, { recursive: true }))

let vmlinux: string
let theirs: string
beforeAll(async () => {
  const fixture = await unpackHypervFixture()
  vmlinux = requireKeptVmlinux(fixture.uname)
  const core = join(folder, 'core.elf')
  await writeRawCore(core, { regions: fixture.regions, notesFile: join(fixture.dir, 'notes.elf') })
  const made = await makedumpfile(['-l', '-d', '31', core, join(folder, 'theirs.vmcore')])
  expect(`${made.status} ${made.stderr}`).toMatch(/^0 /)
  theirs = await crashPrints(vmlinux, join(folder, 'theirs.vmcore'), COMMANDS)
  expect(theirs).toContain(fixture.uname)
  expect(theirs).toContain('hv_balloon')
  expect(theirs.match(/^\s+\d+\s+\d+\s+\d+\s+[0-9a-f]{16}\s/gm)?.length ?? 0).toBeGreaterThan(40)
})

test.each(['backing', 'ranges', 'messages'] as const)(
  'crash prints for our dump, by %s, what it prints for makedumpfile’s of the same memory',
  async (witness) => {
    const { descriptors } = await unpackHypervFixture()
    for (const compression of ['zstd', 'lzo', 'zlib']) {
      const dump = join(folder, `${witness}-${compression}.vmcore`)
      const args = ['dump', descriptors[witness], '-o', dump, '--compress', compression]
      const { status, stderr } = await runUllage(args, { stateDir: folder })
      expect(`${status} ${stderr}`).toMatch(/^0 /)
      expect(plain(await crashPrints(vmlinux, dump, COMMANDS))).toBe(plain(theirs))
    }
  },
)

/** Without what names the file and the moment of dumping, which differ by nature. */
function plain(printed: string): string {
  return printed
    .replace(/^\s*DUMPFILE:.*$/gm, 'DUMPFILE')
    .replace(/^\s*DATE:.*$/gm, 'DATE')
    .trimEnd()
}
