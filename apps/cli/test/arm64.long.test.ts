import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bootGuest, drgn, openKdumpfile, openStoppedMemory, requireVmlinux } from '@ullage/lab'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { BALLOON_MIB, dumpArm64, MiB, offlineFrames } from './arm64-guest.ts'
import { compareDump } from './compare-dump.ts'
import { runUllage } from './run-ullage.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-arm64-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What drgn finds with debug symbols: release, tasks, the log, and the stack of the first process. */
const WITH_SYMBOLS = `
import json, sys
import drgn
from drgn.helpers.linux import find_task, for_each_task, get_dmesg
prog = drgn.Program()
prog.set_core_dump(sys.argv[1])
prog.load_debug_info([sys.argv[2]])
print(json.dumps({
    'machine': prog.platform.arch.name,
    'release': prog['init_uts_ns'].name.release.string_().decode(),
    'tasks': sorted(task.comm.string_().decode() for task in for_each_task(prog)),
    'log': get_dmesg(prog).decode(),
    'stack': [frame.name for frame in prog.stack_trace(find_task(prog, 1))],
}))
`

/** What it finds without: the release, by kernel address, and words of the page that VMCOREINFO says mem_section is in. */
const WITHOUT_SYMBOLS = `
import json, sys
import drgn
prog = drgn.Program()
prog.set_core_dump(sys.argv[1])
lines = dict(line.split('=', 1) for line in prog['VMCOREINFO'].string_().decode().splitlines())
uts = int(lines['SYMBOL(init_uts_ns)'], 16) + int(lines['OFFSET(uts_namespace.name)'])
print(json.dumps({
    'machine': prog.platform.arch.name,
    'pageBytes': int(lines['PAGESIZE']),
    'release': prog.read(uts + 130, 65).split(b'\\0')[0].decode(),
    'root': prog.read_u64(int(lines['SYMBOL(mem_section)'], 16)),
}))
`

const Found = z.object({
  machine: z.string(),
  release: z.string(),
  tasks: z.array(z.string()),
  log: z.string(),
  stack: z.array(z.string()),
})

async function ask(script: string, ...argv: string[]): Promise<unknown> {
  const { status, stdout, stderr } = await drgn(script, argv)
  expect(`${status} ${stderr}`).toMatch(/^0 /)
  return JSON.parse(stdout)
}

test.each(['31', '1'])('drgn reads the dump of a live guest with pages of 4 KiB, level %s', async (level) => {
  await using guest = await bootGuest({ era: 'trixie-arm64', memMiB: 256, balloonMiB: BALLOON_MIB })
  const path = join(folder, `4k-${level}.vmcore`)
  const report = await dumpArm64(guest, path, '--level', level)
  expect(report.warnings.filter(({ code }) => code !== 'VCPUS_IN_PROCESSES')).toEqual([])
  const found = Found.parse(await ask(WITH_SYMBOLS, path, requireVmlinux('trixie-arm64')))
  expect(found).toMatchObject({ machine: 'AARCH64', release: guest.era.release })
  expect(found.tasks).toEqual(expect.arrayContaining(['init', 'kthreadd', 'kswapd0', 'sleep']))
  expect(found.stack).toEqual(expect.arrayContaining(['__switch_to', 'schedule', 'el0t_64_sync']))
  const dmesg = await guest.exec('dmesg')
  expect(dmesg.trim().startsWith(found.log.trim().slice(0, 8000))).toBe(true)
})

test.each(['max', 'neoverse-n1'] as const)(
  'a guest with pages of 16 KiB on %s is dumped in its own pages',
  async (cpu) => {
    const pageBytes = 16_384
    await using guest = await bootGuest({ era: 'trixie-arm64-16k', memMiB: 256, balloonMiB: BALLOON_MIB, cpu })
    const offline = offlineFrames(await guest.truth())
    expect(offline).toBeGreaterThanOrEqual((BALLOON_MIB * MiB) / pageBytes)
    const live = await dumpArm64(guest, join(folder, `16k-${cpu}.vmcore`))
    expect(live.guest).toMatchObject({ kernel: guest.era.release, vmcoreinfo: 'note', pageSize: pageBytes })
    expect(live.frames.total).toBe((256 * MiB) / pageBytes)
    expect(live.frames.byClass.offline).toEqual({ backed: 0, swapped: 0, unbacked: offline, unknown: 0 })
    expect(live.hostMemory.backedBytesAfter).toBe(live.hostMemory.backedBytesBefore)
    expect(live.disagreements.alarm).toBe(false)

    await guest.stop()
    using memory = await openStoppedMemory(guest)
    const view = memory.view.inFramesOf(pageBytes)
    for (const args of [[], ['--level', '1', '--compress', 'zlib'], ['--level', '0', '--trust', 'host']]) {
      const path = join(folder, `16k-${cpu}-stopped${args.join('')}.vmcore`)
      const report = await dumpArm64(guest, path, ...args)
      const { stored, wrong } = compareDump(path, view)
      expect(wrong).toEqual([])
      expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
      using kdump = openKdumpfile(path)
      expect([kdump.text('arch.name'), kdump.number('arch.page_size')]).toEqual(['aarch64', BigInt(pageBytes)])
      const found = { machine: 'AARCH64', pageBytes, release: guest.era.release, root: expect.any(Number) }
      expect(await ask(WITHOUT_SYMBOLS, path)).toEqual(found)
    }
    // What an ELF dump leaves out reads as zeros.
    const elf = join(folder, `16k-${cpu}.elf`)
    await dumpArm64(guest, elf, '--format', 'elf', '--level', '0')
    expect(compareDump(elf, view, view.backed).wrong).toEqual([])
    const inspected = await runUllage(['inspect', elf, '--json'], { stateDir: folder })
    expect(JSON.parse(inspected.stdout)).toMatchObject({ machine: 'aarch64', format: 'elf' })
  },
)
