import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport } from '@ullage/dump'
import { bootHypervHost, type HypervGuest, type HypervHost, KPF, makedumpfile, openMemoryView } from '@ullage/lab'
import { PfnSet } from '@ullage/pages'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareDump } from './compare-dump.ts'

const MIB = 1 << 20
const MIB_FRAMES = 256
const MEM_MIB = 256
const HOT_ADD_MIB = 256
const HOT_ADD_GPA = 2 ** 35
/** Linux adds whole blocks of this size. */
const ADDED_MIB = 128

/** What `ullage pages --runs` prints of one run. */
interface Run {
  readonly pfn: number
  readonly count: number
  readonly guest: string
  readonly host: string
  readonly fate: string
}

const folder = mkdtempSync(join(tmpdir(), 'ullage-hyperv-live-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('a live guest of QEMU with Dynamic Memory, in a nested host', () => {
  let host: HypervHost
  let guest: HypervGuest
  let chesha256sum: string

  beforeAll(async () => {
    host = await bootHypervHost()
    guest = await host.bootGuest({ memMiB: MEM_MIB, hotAddMiB: HOT_ADD_MIB })
    const source = { kind: 'qmp', socket: guest.qmpSocket, trace: guest.trace }
    writeFileSync(join(host.share, 'guest.json'), JSON.stringify({ backend: 'hyperv', source }))
    await guest.exec(
      'yes live | head -c 12000000 > /tmp/live; yes freed | head -c 40000000 > /tmp/freed; rm /tmp/freed',
    )
    chesha256sum = await guest.exec('sha256sum /tmp/live')
    // Hot-added, ballooned out far enough that it takes single frames, and in part given back.
    await guest.resize(MEM_MIB + ADDED_MIB)
    await guest.resize(240)
    await guest.resize(260)
  })
  afterAll(() => host?.[Symbol.asyncDispose]())

  /** Runs `ullage` on the host; it must succeed, and say nothing on stderr. */
  async function ullage(args: string): Promise<string> {
    const { status, stdout, stderr } = await host.run(`ULLAGE_STATE_DIR=/tmp/state ullage ${args}`)
    expect(stderr).toBe('')
    expect(status).toBe(0)
    return stdout
  }

  /** Dumps into memory of the host, and brings dump and report to this machine. */
  async function dump(name: string): Promise<{ file: string; report: DumpReport }> {
    await ullage(`dump guest.json -o /tmp/${name} --level 31`)
    await host.exec(`mv /tmp/${name} /tmp/${name}.report.json /share/`)
    const file = join(host.share, name)
    return { file, report: JSON.parse(readFileSync(`${file}.report.json`, 'utf8')) as DumpReport }
  }

  async function offlineFrames(): Promise<PfnSet> {
    const offline = new PfnSet()
    for (const { start, flags } of await guest.frameFlags()) {
      flags.forEach((word, index) => {
        if (((word >> BigInt(KPF.offline)) & 1n) === 1n) offline.add({ start: start + index, count: 1 })
      })
    }
    return offline
  }

  async function backedBytes(): Promise<number> {
    return (await guest.allocatedBytes()).reduce((sum, bytes) => sum + bytes, 0)
  }

  /** What QEMU traced as taken from the guest and not given back, read without any of our own code. */
  async function tracedFrames(): Promise<PfnSet> {
    const out = new PfnSet()
    const event =
      /(?:(remove_response) processing remove response range|outgoing_unballoon posting unballoon \d+ for) (\d+) @ (0x[0-9a-f]+)/g
    for (const [, removed, count, start] of (await guest.traceText()).matchAll(event)) {
      const range = { start: Number(start), count: Number(count) }
      if (removed === undefined) out.delete(range)
      else out.add(range)
    }
    return out
  }

  /** Guest physical addresses of the SynIC pages that QEMU lays over RAM. */
  async function synicPages(): Promise<number[]> {
    const tree = String(await guest.qmp('human-monitor-command', { 'command-line': 'info mtree -f' }))
    const view = tree.split(/\n(?=FlatView)/).find((part) => part.includes('AS "memory"')) ?? ''
    return [...view.matchAll(/([0-9a-f]{16})-[0-9a-f]{16} \(prio \d+, ram\): synic-/g)].map(([, start]) =>
      Number(`0x${start}`),
    )
  }

  test('trace, QEMU and the guest’s kernel tell the same of every frame, and so does ullage pages', async () => {
    const runs = (await ullage('pages guest.json --runs'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Run)
    const offline = await offlineFrames()
    const traced = await tracedFrames()
    expect([...traced.allRuns()]).toEqual([...offline.allRuns()])
    expect(offline.size).toBeGreaterThan(100 * MIB_FRAMES)
    expect(await guest.qmp('query-balloon')).toEqual({
      actual: (MEM_MIB + ADDED_MIB) * MIB - offline.size * 4096,
    })

    const told = (wanted: (run: Run) => boolean): PfnSet =>
      PfnSet.of(runs.filter(wanted).map(({ pfn, count }) => ({ start: pfn, count })))
    expect([...told((run) => run.guest === 'offline').allRuns()]).toEqual([...offline.allRuns()])
    expect(told((run) => run.guest === 'offline' && run.host !== 'unbacked').size).toBe(0)
    expect(told((run) => run.guest === 'offline' && run.fate !== 'leaveOut').size).toBe(0)
    // Of the memory for hot-add the guest knows what was added; the rest has neither struct pages nor memory.
    const beyond = {
      start: HOT_ADD_GPA / 4096 + ADDED_MIB * MIB_FRAMES,
      count: (HOT_ADD_MIB - ADDED_MIB) * MIB_FRAMES,
    }
    const nothing = told(({ guest, host }) => guest === 'noStructPage' && host === 'unbacked')
    expect([...nothing.allRuns()]).toEqual([beyond])
    expect(told(() => true).size).toBe((MEM_MIB + HOT_ADD_MIB) * MIB_FRAMES)
  })

  test('is paused, dumped and resumed, and the host gives not one page', async () => {
    const offline = await offlineFrames()
    const { report } = await dump('running.vmcore')
    expect(report.consistency.mode).toBe('paused')
    expect(report.consistency.pausedMs).toBeGreaterThan(0)
    expect(report.guest).toMatchObject({ backend: 'hyperv', kernel: guest.release, vmcoreinfo: 'note' })
    expect(report.frames.byClass.offline).toEqual({ backed: 0, swapped: 0, unbacked: offline.size, unknown: 0 })
    expect(report.hostMemory.backedBytesAfter).toBe(report.hostMemory.backedBytesBefore)
    expect(report.hostMemory.residentBytesAfter).toBe(report.hostMemory.residentBytesBefore)
    expect(report.disagreements.alarm).toBe(false)
    expect(await guest.status()).toBe('running')
    expect(await guest.exec('sha256sum /tmp/live')).toBe(chesha256sum)
  })

  test('stopped: keeps what every backend promises', async () => {
    await guest.qmp('stop')
    copyFileSync(join(import.meta.dirname, 'live-conformance-main.ts'), join(host.share, 'main.ts'))
    // What the guest sees of its SynIC is in pages of QEMU's, not in the file of RAM.
    const laidOver: string[] = []
    for (const address of await synicPages()) {
      await guest.qmp('pmemsave', { val: address, size: 4096, filename: `/share/synic-${address}` })
      laidOver.push(`${address}:/share/synic-${address}`)
    }
    expect(laidOver).toHaveLength(2)
    const placed = [`0:${guest.ramFile}`, `${HOT_ADD_GPA}:${guest.hotAddFile}`, ...laidOver]
    // Beside the packages, so that it finds them.
    const { status, stdout, stderr } = await host.run(
      `cp main.ts /ullage/main.ts; node --conditions=@ullage/source /ullage/main.ts guest.json /tmp/state ${placed.join(' ')}`,
    )
    expect(`${status} ${stderr}`).toBe('0 ')
    const results = JSON.parse(stdout) as { name: string; thrown?: string }[]
    expect(results.filter(({ thrown }) => thrown !== undefined)).toEqual([])
    expect(results.length).toBeGreaterThan(20)
  })

  test('stopped: stays stopped, every stored page is its memory, and the host gives not one page', async () => {
    const before = await guest.allocatedBytes()
    const { file, report } = await dump('stopped.vmcore')
    expect(await guest.allocatedBytes()).toEqual(before)
    expect(await guest.status()).toBe('paused')
    expect(report.consistency).toEqual({ mode: 'stopped', pausedMs: 0, copiedBytes: 0 })

    // The guest's memory as QEMU itself reads it, which allocates what was not there.
    const parts = [
      { gpaBytes: 0, sizeBytes: MEM_MIB * MIB, name: 'low' },
      { gpaBytes: HOT_ADD_GPA, sizeBytes: ADDED_MIB * MIB, name: 'added' },
    ]
    for (const { gpaBytes, sizeBytes, name } of parts) {
      await guest.qmp('pmemsave', { val: gpaBytes, size: sizeBytes, filename: `/share/${name}` })
    }
    expect(await backedBytes()).toBeGreaterThan(before.reduce((sum, bytes) => sum + bytes, 0))
    using view = openMemoryView(
      parts.map(({ gpaBytes, sizeBytes, name }) => ({
        gpaBytes,
        sizeBytes,
        offsetBytes: 0,
        file: join(host.share, name),
        backedBytes: [{ startByte: 0, endByte: sizeBytes }],
      })),
    )
    const { stored, wrong } = compareDump(file, view)
    expect(wrong).toEqual([])
    expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
    expect(stored.size).toBeGreaterThan(20 * MIB_FRAMES)
    const log = join(folder, 'log')
    const printed = await makedumpfile(['--dump-dmesg', file, log])
    expect(`${printed.stdout}${printed.stderr}`).not.toMatch(/fail|error/i)
    expect(readFileSync(log, 'utf8')).toContain(`Linux version ${guest.release}`)
  })

  test('runs on afterwards, and takes all of its memory back', async () => {
    await guest.qmp('cont')
    await guest.resize(MEM_MIB + ADDED_MIB)
    expect((await offlineFrames()).size).toBe(0)
    expect((await tracedFrames()).size).toBe(0)
    expect(await guest.exec('sha256sum /tmp/live')).toBe(chesha256sum)
  })
})
