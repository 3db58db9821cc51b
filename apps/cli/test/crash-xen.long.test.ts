import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crashPrints, requireEra, requireVmlinux, unpackXenFixture } from '@ullage/lab'
import { afterAll, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

const COMMANDS = ['sys', 'ps', 'log', 'mod'] as const

const folder = mkdtempSync(join(tmpdir(), 'ullage-crash-xen-'))
afterAll(() => rmSync(folder, { recursive: true }))

test.each(['31', '1'])(
  'crash prints for our dump of a PVH guest, level %s, what it prints for the core',
  async (level) => {
    const fixture = await unpackXenFixture('xen-pvh')
    expect(requireEra('bookworm').release).toBe(fixture.uname)
    const vmlinux = requireVmlinux('bookworm')
    const dump = join(folder, `${level}.vmcore`)
    const args = ['dump', fixture.descriptor, '-o', dump, '--level', level, '--compress', 'zlib']
    expect((await runUllage(args, { stateDir: folder })).status).toBe(0)
    const theirs = await crashPrints(vmlinux, fixture.core, COMMANDS)
    expect(theirs).toContain('RELEASE: 6.1.0-')
    expect(theirs).toContain('[xen-balloon]')
    expect(plain(await crashPrints(vmlinux, dump, COMMANDS))).toBe(plain(theirs))
    // From the core crash has no registers and guesses; from our notes it has them.
    const stack = await crashPrints(vmlinux, dump, ['bt -a'])
    expect(stack).toContain('[exception RIP: native_safe_halt+')
    expect(stack).toMatch(/do_idle[^]*start_kernel/)
  },
)

/** Without what names the file. */
function plain(printed: string): string {
  return printed.replace(/^\s*DUMPFILE:.*$/gm, 'DUMPFILE').trimEnd()
}
