import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GuardReport } from '@ullage/dump'
import { KPF, unpackFixture, unpackHypervFixture, unpackXenFixture, XEN_FIXTURE_NAMES } from '@ullage/lab'
import { afterAll, describe, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'ullage-guard-'))
afterAll(() => rmSync(stateDir, { recursive: true }))

const guard = (...args: string[]) => runUllage(['guard', ...args], { stateDir })

async function guardJson(...args: string[]): Promise<{ status: number | null; stderr: string; report: GuardReport }> {
  const { status, stdout, stderr } = await guard(...args, '--json')
  return { status, stderr, report: JSON.parse(stdout) as GuardReport }
}

const bytes = (start: number, end: number): string => `0x${(start * 4096).toString(16)}-${end * 4096}`

/** Frames below `end` that the guest's own kernel calls offline. */
function offlineIn(kpageflags: BigUint64Array, start: number, end: number): number {
  return kpageflags.subarray(start, end).reduce((sum, flags) => sum + Number((flags >> BigInt(KPF.offline)) & 1n), 0)
}

function firstOffline(kpageflags: BigUint64Array): number {
  return kpageflags.findIndex((flags) => ((flags >> BigInt(KPF.offline)) & 1n) === 1n)
}

describe.each(XEN_FIXTURE_NAMES)('%s', (name) => {
  test('must not kexec into what the balloon took: memory there reads as nothing', async () => {
    const { descriptor, kpageflags } = await unpackXenFixture(name)
    const start = firstOffline(kpageflags)
    const [end, middle] = [start + 4096, start + 2048]
    const { status, report } = await guardJson(
      descriptor,
      '--range',
      bytes(start, middle),
      '--range',
      bytes(middle, end),
    )
    expect(status).toBe(1)
    expect(report.safe).toBe(false)
    // Touching ranges are guarded as one.
    expect(report.ranges).toEqual([{ start, count: 4096, kind: 'range', missing: report.frames.missing.nothing }])
    const offline = report.missing.filter(({ guest }) => guest === 'offline').reduce((sum, { count }) => sum + count, 0)
    expect(offline).toBe(offlineIn(kpageflags, start, end))
    expect(offline).toBeGreaterThan(0)
    expect(report.giveBack).toEqual({ kind: 'deflate', atWorst: offlineIn(kpageflags, 0, kpageflags.length) })
  })

  test('says that no kernel is loaded, and that RAM ends', async () => {
    const { descriptor } = await unpackXenFixture(name)
    const { status, stdout } = await guard(descriptor)
    expect(status).toBe(0)
    expect(stdout).toMatch(/no kernel is loaded/)
    const { status: outside, report } = await guardJson(descriptor, '--range', '0x1000000000-0x1000001000')
    expect(outside).toBe(1)
    expect(report.missing).toEqual([{ start: 0x1000000, count: 1, guest: null, host: 'unbacked', touch: 'nothing' }])
  })
})

describe('a Hyper-V guest', () => {
  test.each(['ranges', 'messages'] as const)('with %s: the host is told which ranges to give back', async (by) => {
    const { descriptors } = await unpackHypervFixture()
    const { status, report } = await guardJson(
      descriptors[by],
      '--range',
      bytes(10_300, 10_400),
      '--range',
      '0x800000000-0x808000000',
    )
    expect(status).toBe(1)
    expect(report.frames.missing).toEqual({ nothing: 100 + 512 + 20_480, filled: 0, taken: 0 })
    expect(report.giveBack).toEqual({
      kind: 'ranges',
      ranges: [
        { start: 10_240, count: 512 },
        { start: 8_389_120, count: 512 },
        { start: 8_400_896, count: 13_312 },
      ],
      others: 7168,
    })
  })

  test('whose host keeps no ranges: how far the balloon must be deflated at worst', async () => {
    const { descriptors } = await unpackHypervFixture()
    const { status, stdout } = await guard(descriptors.backing, '--range', bytes(10_240, 10_241))
    expect(status).toBe(1)
    expect(stdout).toMatch(/deflate the balloon by 21504 frames \(84\.0 MiB\)/)
    expect(stdout).toMatch(/must not kexec/)
  })
})

test('QEMU fills what the balloon took: a warning, and status 0', async () => {
  const { descriptor, kpageflags } = await unpackFixture('virtio-v6.12-balloon')
  const start = firstOffline(kpageflags)
  const { status, stderr, report } = await guardJson(descriptor, '--range', bytes(start, start + 1))
  expect(status).toBe(0)
  expect(report).toMatchObject({
    safe: true,
    missing: [{ start, count: 1, guest: 'offline', host: 'unbacked', touch: 'filled' }],
  })
  expect(stderr).toMatch(/KEXEC_UNBACKED/)
})

test('without the guest’s word the host’s counts, and ranges must be named', async () => {
  const { descriptor, kpageflags } = await unpackFixture('virtio-v6.12-balloon')
  const start = firstOffline(kpageflags)
  const { status, report } = await guardJson(descriptor, '--trust', 'host', '--range', bytes(start, start + 1))
  expect(status).toBe(0)
  expect(report.missing).toEqual([{ start, count: 1, guest: 'unknown', host: 'unbacked', touch: 'filled' }])
  const refused = await guard(descriptor, '--trust', 'host')
  expect(refused.status).toBe(2)
  expect(refused.stderr).toMatch(/--range START-END.*KEXEC_UNKNOWN/s)
})

test('memory of virtio-mem that was never plugged is not there, whatever QEMU would read', async () => {
  const { descriptor } = await unpackFixture('virtio-v6.1-vmem')
  const { status, report } = await guardJson(descriptor, '--range', '0x118000000-0x118001000')
  expect(report.missing).toMatchObject([{ guest: 'noStructPage', host: 'unbacked', touch: 'nothing' }])
  expect(status).toBe(1)
})

test('a range of all addresses is told in a sentence; no balloon has what is no guest RAM', async () => {
  const { descriptor } = await unpackFixture('virtio-v6.12-balloon')
  const { status, report } = await guardJson(descriptor, '--range', '0xc000000-9007199254740991')
  expect(status).toBe(1)
  const frames = 2 ** 41 - 49_152
  expect(report.frames).toEqual({ guarded: frames, missing: { nothing: frames, filled: 0, taken: 0 } })
  expect(report.missing).toEqual([{ start: 49_152, count: frames, guest: null, host: 'unbacked', touch: 'nothing' }])
  expect(report.giveBack).toBeUndefined()
  const { stdout } = await guard(descriptor, '--range', '0-9007199254740991')
  expect(stdout).toMatch(/^  0x0-0x20000000000000 {2}2199023255552 frames {2}asked for, \d+ missing$/m)
  expect(stdout).toMatch(/no guest RAM: not there/)
})

test.each([
  ['0x1000', /expected START-END/],
  ['0x2000-0x1000', /START below END/],
  ['0x1000-0x1000', /START below END/],
  ['1e3-2e3', /expected START-END/],
  ['0-99999999999999999999', /expected START-END/],
  ['1-2-3', /expected START-END/],
])('a range %s is refused with status 2', async (range, message) => {
  const { status, stderr } = await guard('/nonexistent.json', '--range', range)
  expect(status).toBe(2)
  expect(stderr).toMatch(message)
})
