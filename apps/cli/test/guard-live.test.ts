import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GuardedKind, GuardReport, PagesReport } from '@ullage/dump'
import { bootGuest, framesWithFlag, KEXEC_KERNEL, KPF, type LabGuest } from '@ullage/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

const FRAME_BYTES = 4096
const MiB = 1 << 20

const folder = mkdtempSync(join(tmpdir(), 'ullage-guard-live-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Large enough that a kernel can be loaded beside a crashkernel= area when most of the rest is ballooned. */
const MEM_MIB = 640
const LEFT_MIB = 380

function boot(era: 'bullseye' | 'bookworm' | 'trixie' | 'sid'): Promise<LabGuest> {
  return bootGuest({ era, memMiB: MEM_MIB, kexec: true, append: 'crashkernel=64M' })
}

function descriptorOf(guest: LabGuest, name: string): string {
  const descriptor = join(folder, `${name}.json`)
  writeFileSync(
    descriptor,
    JSON.stringify({ backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } }),
  )
  return descriptor
}

const ullage = (...args: string[]) => runUllage(args, { stateDir: join(folder, 'state') })

/** Where, of 96 MiB from a multiple of 16 MiB on, most frames are ballooned: there a kernel is to be loaded. In bytes. */
function mostBallooned(offline: ReadonlySet<number>): { from: number; to: number } {
  const window = (96 * MiB) / FRAME_BYTES
  let best = { from: 0, count: -1 }
  for (let from = (64 * MiB) / FRAME_BYTES; from + window <= (MEM_MIB * MiB) / FRAME_BYTES; from += window / 6) {
    let count = 0
    for (let pfn = from; pfn < from + window; pfn++) count += Number(offline.has(pfn))
    if (count > best.count) best = { from, count }
  }
  return { from: best.from * FRAME_BYTES, to: (best.from + window) * FRAME_BYTES - 1 }
}

/** What `kexec -d` says it asks the kernel for: a segment's place, in frames. */
function segmentsOf(printed: string): { start: number; count: number }[] {
  const field = (name: string) =>
    [...printed.matchAll(new RegExp(`segment\\[\\d+\\]\\.${name} += (0x[0-9a-f]+)`, 'g'))].map(
      ([, value]) => Number(value) / FRAME_BYTES,
    )
  const sizes = field('memsz')
  return field('mem').map((start, i) => ({ start, count: sizes[i] ?? 0 }))
}

/** The kernel's own resources: first and last byte, in frames. */
function crashkernelOf(iomem: string): { start: number; count: number } {
  const [, first = '', last = ''] = /([0-9a-f]+)-([0-9a-f]+) : Crash kernel/.exec(iomem) ?? []
  const start = Number.parseInt(first, 16) / FRAME_BYTES
  return { start, count: (Number.parseInt(last, 16) + 1) / FRAME_BYTES - start }
}

function rangesOf({ ranges }: GuardReport, kind: GuardedKind) {
  return ranges.filter((range) => range.kind === kind).map(({ start, count }) => ({ start, count }))
}

describe.each(['bookworm', 'sid'] as const)('a live guest of era %s', (era) => {
  let guest: LabGuest
  let descriptor: string
  beforeAll(async () => {
    guest = await boot(era)
    descriptor = descriptorOf(guest, era)
  })
  afterAll(() => guest?.[Symbol.asyncDispose]())

  async function guard(...args: string[]): Promise<{ stderr: string; report: GuardReport }> {
    const { status, stdout, stderr } = await ullage('guard', descriptor, '--json', ...args)
    expect(stderr).not.toMatch(/ullage: (?!warning)/)
    expect(status).toBe(0)
    return { stderr, report: JSON.parse(stdout) as GuardReport }
  }

  test('that has loaded nothing has nothing to guard', async () => {
    expect((await guard()).report.ranges).toEqual([])
  })

  test('has a crashkernel= area that was never touched, which is no reason for alarm', async () => {
    const { stdout } = await ullage('pages', descriptor, '--json')
    const { disagreements } = JSON.parse(stdout) as PagesReport
    expect(disagreements.idleUnbacked).toBeGreaterThan((60 * MiB) / FRAME_BYTES)
    expect(disagreements).toMatchObject({ protectedUnbacked: 0, alarm: false })
  })

  test('is guarded where kexec puts the kernel, and every ballooned frame there is told', async () => {
    await guest.balloon(LEFT_MIB)
    const { from, to } = mostBallooned(new Set(framesWithFlag((await guest.truth()).kpageflags, KPF.offline)))
    const printed = await guest.exec(
      `/sbin/kexec -d -c -l ${KEXEC_KERNEL} --command-line=x --mem-min=${from} --mem-max=${to} 2>&1`,
    )
    expect(await guest.exec('cat /sys/kernel/kexec_loaded')).toMatch(/^1/)
    const { stderr, report } = await guard('--pause')
    expect(report.consistency.mode).toBe('paused')
    expect(await guest.status()).toBe('running')

    const segments = segmentsOf(printed)
    expect(segments.length).toBeGreaterThan(2)
    expect(rangesOf(report, 'segment')).toEqual(segments)
    const pages = segments.reduce((sum, { count }) => sum + count, 0)
    // A page for each page of the segments, and lists that name them: 511 entries a page, one or two entries for each.
    const waiting = rangesOf(report, 'source').reduce((sum, { count }) => sum + count, 0)
    expect(waiting).toBeGreaterThanOrEqual(pages + Math.floor(pages / 511))
    expect(waiting).toBeLessThanOrEqual(pages + Math.ceil((2 * pages) / 511) + 1)
    expect(rangesOf(report, 'control').length).toBeGreaterThan(0)
    expect(report.warnings).toEqual([])

    const offline = new Set(framesWithFlag((await guest.truth()).kpageflags, KPF.offline))
    const expected = segments.flatMap(({ start, count }) =>
      Array.from({ length: count }, (_, i) => start + i).filter((pfn) => offline.has(pfn)),
    )
    const found = report.missing
      .filter((run) => run.guest === 'offline')
      .flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i))
    expect(found).toEqual(expected)
    expect(found.length).toBeGreaterThan(100)
    expect(report.missing.every(({ touch }) => touch === 'filled')).toBe(true)
    expect(report.safe).toBe(true)
    expect(stderr).toMatch(/KEXEC_UNBACKED/)
    expect(report.giveBack).toEqual({ kind: 'deflate', atWorst: offline.size })
    // Pages that wait are taken: no balloon holds any.
    expect(report.ranges.filter(({ kind, missing }) => kind === 'source' && missing > 0)).toEqual([])
  })

  test('is guarded where kexec_file_load puts it, as long as it is loaded', async () => {
    await guest.balloon(MEM_MIB)
    await guest.exec(`/sbin/kexec -u && /sbin/kexec -s -l ${KEXEC_KERNEL} --command-line=console=ttyS0`)
    const { report } = await guard()
    expect(rangesOf(report, 'segment').reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan((40 * MiB) / 4096)
    await guest.exec('/sbin/kexec -u')
    expect((await guard()).report.ranges).toEqual([])
  })

  test('with a crash kernel is told that no balloon reaches it, also when its range is asked for', async () => {
    await guest.exec(`/sbin/kexec -s -p ${KEXEC_KERNEL} --command-line=console=ttyS0`)
    const area = crashkernelOf(await guest.exec('cat /proc/iomem'))
    const { stderr, report } = await guard()
    expect(stderr).toMatch(/CRASHKERNEL_RESERVED/)
    expect(rangesOf(report, 'crashkernel')).toEqual([area])
    expect(rangesOf(report, 'crashSegment').length).toBeGreaterThan(2)
    for (const { start, count } of rangesOf(report, 'crashSegment')) {
      expect(start).toBeGreaterThanOrEqual(area.start)
      expect(start + count).toBeLessThanOrEqual(area.start + area.count)
    }
    expect(report.missing.filter((run) => run.guest === 'offline')).toEqual([])
    const asked = await guard('--range', `${area.start * FRAME_BYTES}-${area.start * FRAME_BYTES + 1}`)
    expect(asked.stderr).toMatch(/CRASHKERNEL_RESERVED/)
    const elsewhere = await guard('--range', '0x100000-0x101000')
    expect(elsewhere.stderr).not.toMatch(/CRASHKERNEL_RESERVED/)
  })
})

test('memory that virtio-mem has not plugged is not there, though its block is online', async () => {
  await using guest = await bootGuest({ era: 'trixie', virtioMem: { sizeMiB: 256, requestedMiB: 64 } })
  const offline = framesWithFlag((await guest.truth()).kpageflags, KPF.offline)
  // The block of 128 MiB that is plugged by half, above 4 GiB.
  const unplugged = offline.find((pfn) => pfn >= 2 ** 20) ?? 0
  const range = `${unplugged * FRAME_BYTES}-${(unplugged + 1) * FRAME_BYTES}`
  const { status, stdout } = await ullage('guard', descriptorOf(guest, 'vmem'), '--range', range, '--json')
  expect(status).toBe(1)
  expect((JSON.parse(stdout) as GuardReport).missing).toEqual([
    { start: unplugged, count: 1, guest: 'offline', host: 'unbacked', touch: 'nothing' },
  ])
})

test('a kernel that does not say where its symbols are: the ranges must be named', async () => {
  await using guest = await boot('bullseye')
  const descriptor = descriptorOf(guest, 'bullseye')
  const refused = await ullage('guard', descriptor)
  expect(refused.status).toBe(2)
  expect(refused.stderr).toMatch(/SYMBOL\(kallsyms_names\).*--range START-END/)
  const { status, stdout } = await ullage('guard', descriptor, '--range', '0x100000-0x200000')
  expect(status).toBe(0)
  expect(stdout).toMatch(/256 frames/)
})
