import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  bootGuest,
  crashPrints,
  dumpByQemu,
  type LabGuest,
  makedumpfile,
  requireVmlinux,
  startWorkload,
  WORKLOAD_DISK_MIB,
} from '@ullage/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

/** Eras whose kernel with debug symbols the set-up brings, oldest first. */
const ERAS = ['bookworm', 'trixie'] as const

const COMMANDS = ['sys', 'ps', 'kmem -i', 'bt -a', 'log', 'mod'] as const

/** What walks slabs, processes, open files, mounts and stacks: each would meet a page that should not have been left out. */
const WALKS = ['kmem -s', 'ps -m', 'files', 'foreach files', 'mount', 'foreach bt', 'kmem -S dentry'] as const

const folder = mkdtempSync(join(tmpdir(), 'ullage-crash-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe.each(ERAS)('crash on a guest of era %s', (era) => {
  const path = (name: string) => join(folder, `${era}-${name}`)
  let guest: LabGuest
  beforeAll(async () => {
    guest = await bootGuest({ era, memMiB: 256, balloonMiB: 64, diskMiB: WORKLOAD_DISK_MIB })
    await startWorkload(guest)
    await guest.stop()
    const source = { kind: 'qmp', socket: guest.qmpSocket }
    writeFileSync(path('guest.json'), JSON.stringify({ backend: 'virtio-balloon', source }))
    for (const compression of ['zstd', 'lzo', 'zlib']) {
      const args = ['dump', path('guest.json'), '-o', path(`${compression}.vmcore`), '--compress', compression]
      const { status, stderr } = await runUllage(args, { stateDir: join(folder, 'state') })
      expect(stderr).toBe('')
      expect(status).toBe(0)
    }
    // QEMU's and makedumpfile's of the same memory, last: QEMU's dump fills the holes.
    await dumpByQemu(guest, path('qemu.elf'))
    const made = await makedumpfile(['-l', '-d', '31', path('qemu.elf'), path('theirs.vmcore')])
    expect(`${made.status} ${made.stderr}`).toMatch(/^0 /)
  })
  afterAll(() => guest?.[Symbol.asyncDispose]())

  test('prints for our dump, in each codec, what it prints for makedumpfile’s', async () => {
    const vmlinux = requireVmlinux(era)
    const theirs = await crashPrints(vmlinux, path('theirs.vmcore'), COMMANDS)
    expect(theirs).toContain(guest.era.release)
    expect(theirs.match(/^\s+\d+\s+\d+\s+\d+\s+[0-9a-f]{16}\s/gm)?.length ?? 0).toBeGreaterThan(40)
    for (const compression of ['zstd', 'lzo', 'zlib']) {
      const ours = await crashPrints(vmlinux, path(`${compression}.vmcore`), COMMANDS)
      expect(plain(ours)).toBe(plain(theirs))
    }
  })

  test('walks slabs, processes, files, mounts and stacks as on makedumpfile’s, and misses no page', async () => {
    const vmlinux = requireVmlinux(era)
    const [theirs, ours] = await Promise.all(
      ['theirs.vmcore', 'zstd.vmcore'].map((name) => crashPrints(vmlinux, path(name), WALKS)),
    )
    for (const command of WALKS) {
      const printed = answerTo(theirs ?? '', command)
      expect({ command, lines: printed.length > 1 }).toEqual({ command, lines: true })
      expect({ command, printed: answerTo(ours ?? '', command) }).toEqual({ command, printed })
    }
    const excluded = (printed = '') => printed.split('\n').filter((line) => /page excluded|invalid|cannot/.test(line))
    process.stdout.write(
      `${guest.era.release}: ${excluded(theirs).length} pages missed, ${excluded(ours).length} in ours\n`,
    )
    expect(excluded(ours)).toEqual(excluded(theirs))
  })
})

/** The lines crash prints for one of its commands. */
function answerTo(printed: string, command: string): string[] {
  const lines = printed.split('\n')
  const start = lines.indexOf(`crash> ${command}`)
  if (start === -1) throw new Error(`crash did not come to ${command}:\n${printed.slice(-2000)}`)
  const end = lines.findIndex((line, i) => i > start && line.startsWith('crash> '))
  return lines.slice(start + 1, end === -1 ? undefined : end)
}

/** Without what names the file and the moment of dumping, which differ by nature. */
function plain(printed: string): string {
  return printed
    .replace(/^\s*DUMPFILE:.*$/gm, 'DUMPFILE')
    .replace(/^\s*DATE:.*$/gm, 'DATE')
    .trimEnd()
}
