import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crash, crashPrints, requireEra, requireVmlinux, unpackXenFixture, type XenGuestFiles } from '@ullage/lab'
import { afterAll, describe, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

const COMMANDS = ['sys', 'ps', 'log', 'mod'] as const

const folder = mkdtempSync(join(tmpdir(), 'ullage-crash-xen-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function dump(guest: XenGuestFiles, name: string, ...args: string[]): Promise<{ vmlinux: string; path: string }> {
  expect(requireEra('bookworm').release).toBe(guest.uname)
  const path = join(folder, name)
  const { status, stderr } = await runUllage(['dump', guest.descriptor, '-o', path, '--compress', 'zlib', ...args], {
    stateDir: folder,
  })
  expect(`${status} ${stderr}`).toMatch(/^0 /)
  return { vmlinux: requireVmlinux('bookworm'), path }
}

test.each(['31', '1'])(
  'crash prints for our dump of a PVH guest, level %s, what it prints for the core',
  async (level) => {
    const fixture = await unpackXenFixture('xen-pvh')
    const { vmlinux, path } = await dump(fixture, `pvh-${level}.vmcore`, '--level', level)
    const theirs = await crashPrints(vmlinux, fixture.core, COMMANDS)
    expect(theirs).toContain('RELEASE: 6.1.0-')
    expect(theirs).toContain('[xen-balloon]')
    expect(plain(await crashPrints(vmlinux, path, COMMANDS))).toBe(plain(theirs))
    // From the core crash has no registers and guesses; from our notes it has them.
    const stack = await crashPrints(vmlinux, path, ['bt -a'])
    expect(stack).toContain('[exception RIP: native_safe_halt+')
    expect(stack).toMatch(/do_idle[^]*start_kernel/)
  },
)

describe('a ballooned PV guest, whose core crash does not open', () => {
  test.each(['31', '1'])('with --pv-tables crash, level %s, shows what the guest said of itself', async (level) => {
    const fixture = await unpackXenFixture('xen-pv')
    const { vmlinux, path } = await dump(fixture, `pv-${level}.vmcore`, '--pv-tables', 'crash', '--level', level)
    const ours = answersOf(await crashPrints(vmlinux, path, [...COMMANDS, 'kmem -i', 'bt -a']))
    expect(ours.get('sys')).toContain(`RELEASE: ${fixture.uname}`)
    expect(ours.get('sys')).toMatch(/CPUS: 1\n[^]*MEMORY: 255.6 MB/)
    const dmesg = readFileSync(join(fixture.dir, 'dmesg.txt'), 'utf8')
    expect(ours.get('log')?.trim()).toBe(dmesg.trim())
    // Struct pages lie behind page tables: every one is there. MemTotal of the guest's own /proc/meminfo.
    expect(ours.get('kmem -i')).toMatch(new RegExp(`TOTAL MEM +${75800 / 4} `))
    expect(ours.get('mod')).toContain('no modules installed')
    expect(ours.get('bt -a')).toContain('[exception RIP: xen_hypercall_pv+')
    expect(ours.get('bt -a')).toMatch(/xen_safe_halt[^]*do_idle[^]*xen_start_kernel/)
    // The same kernel as PVH has the same threads, but for ACPI's: a PV guest has none.
    const pvh = await unpackXenFixture('xen-pvh')
    const theirs = namesOf(await crashPrints(vmlinux, pvh.core, ['ps']))
    expect(theirs.length).toBeGreaterThan(40)
    expect(namesOf(ours.get('ps') ?? '')).toEqual(theirs.filter((name) => name !== '[acpi_thermal_pm]'))
  })

  test('gives crash the memory of a process through its page tables', async () => {
    const fixture = await unpackXenFixture('xen-pv')
    const { vmlinux, path } = await dump(fixture, 'pv-user.vmcore', '--pv-tables', 'crash', '--level', '1')
    const ps = await crashPrints(vmlinux, path, ['ps'])
    const pid = /^\s+(\d+) .* truth$/m.exec(ps)?.[1] ?? 'none'
    const pages = readFileSync(join(fixture.dir, 'pattern.tsv'), 'utf8').trim().split('\n').slice(0, 1024)
    const asked = pages.filter((_, i) => i % 64 === 0).map((line) => line.split(/\s+/))
    expect(asked).toHaveLength(16)
    const printed = await crashPrints(vmlinux, path, [
      `set ${pid}`,
      ...asked.map(([, address]) => `rd -u ${address} 3`),
    ])
    for (const [index = '', address, pfn = ''] of asked) {
      const words = [Number(index), Number.parseInt(pfn, 16)].map((word) => word.toString(16).padStart(16, '0'))
      expect(printed).toMatch(new RegExp(`${address}:  004547415042414c ${words[0]} [^]*?: +${words[1]} `))
    }
  })

  test.each(['keep', 'rewrite'])('with --pv-tables %s is not opened: crash has no list of frames', async (mode) => {
    const { vmlinux, path } = await dump(await unpackXenFixture('xen-pv'), `pv-${mode}.vmcore`, '--pv-tables', mode)
    const { status, stdout, stderr } = await crash([vmlinux, path], { input: 'quit\n' })
    expect(status).toBe(1)
    expect(stdout + stderr).toContain('seek error: physical address: ffffffffffffffff')
  })
})

/** Without what names the file. */
function plain(printed: string): string {
  return printed.replace(/^\s*DUMPFILE:.*$/gm, 'DUMPFILE').trimEnd()
}

/** What crash printed, by command. */
function answersOf(printed: string): Map<string, string> {
  const answers = printed.split(/^crash> /m).slice(1)
  return new Map(answers.map((text) => [text.slice(0, text.indexOf('\n')), text.slice(text.indexOf('\n') + 1)]))
}

/** Names of the tasks that `ps` lists, sorted, each once; workers are called what they last did. */
function namesOf(printed: string): string[] {
  const names = [...printed.matchAll(/^>?\s+\d+\s+\d+\s+\d+\s+[0-9a-f]{16}\s.*\s(\S+)$/gm)].map(([, name = '']) => name)
  return [...new Set(names.map((name) => name.replace(/\/.*\]$/, ']')))].sort()
}
