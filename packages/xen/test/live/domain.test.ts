import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BackingRun, OfflineError, OpenGuest } from '@ullage/offline-query'
import { offlineQueryConformance } from '@ullage/offline-query/conformance'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDomainOn } from '../../src/live/open-domain.ts'
import { pauseRecordPath } from '../../src/live/pause-record.ts'
import type { DomainSource } from '../../src/xen-source.ts'
import { type FakeHost, pvHost, pvhHost } from './fake-domains.ts'
import { pauseFile } from './pause-file.ts'
import { FakeHypervisor, fakeStore, pageOf } from './fake-hypervisor.ts'

const guardianMain = new URL('./fake-guardian-main.ts', import.meta.url)

let stateDir: string
beforeAll(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'ullage-xen-domain-'))
})
afterAll(() => rmSync(stateDir, { recursive: true }))

function open(host: FakeHost, source: Partial<DomainSource> = {}): Promise<OpenGuest> {
  // Where the guardian finds it too.
  host.hypervisor.pauses = pauseFile(`${pauseRecordPath(stateDir, host.domain.info.handle)}.count`)
  return openDomainOn(
    { ...host, guardianMain },
    { kind: 'domain', domain: 'web-1', ...source },
    { baseDir: '/', stateDir },
  )
}

async function statesOf(guest: OpenGuest, skip: { start: number; count: number }[] = []): Promise<BackingRun[]> {
  const runs: BackingRun[] = []
  for await (const run of guest.backing.backing({ within: { start: 0, count: 5000 }, skip })) runs.push(run)
  return runs
}

async function refusal(action: Promise<unknown>): Promise<OfflineError> {
  const error = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(Error)
  return error as OfflineError
}

describe.each([
  ['PVH', () => pvhHost()],
  ['PV by page tables', () => pvHost('linear')],
  ['PV by frame lists', () => pvHost('lists')],
] as const)('a scripted %s domain', (name, make) => {
  offlineQueryConformance(
    { describe, it },
    {
      name,
      open: async () => {
        const host = make()
        const { hypervisor, backed } = host
        const guest = await open(host)
        const pfnOf = new Map([...backed].map(([pfn, frame]) => [frame, pfn]))
        return {
          guest,
          truth: {
            states: [...backed.keys()].map((start) => ({ start, count: 1, state: 'backed' as const })),
            content: pageOf,
          },
          asked: () => hypervisor.asked.map(({ start }) => ({ start: pfnOf.get(start) ?? start, count: 1 })),
        }
      },
    },
  )

  it('asks the hypervisor about no frame that is skipped, and maps none that has no memory', async () => {
    const host = make()
    await using guest = await open(host)
    const before = host.hypervisor.asked.length
    await statesOf(guest, [{ start: 0, count: 5000 }])
    expect(host.hypervisor.asked).toHaveLength(before)
    const mapped = host.hypervisor.mapped.length
    const error = await refusal(
      Promise.resolve().then(() => guest.memory.read({ start: 800, count: 1 }, new Uint8Array(4096))),
    )
    expect([error.code, error.message]).toEqual(['UNREADABLE', expect.stringContaining('frame 800 ')])
    if (name !== 'PVH') expect(host.hypervisor.mapped).toHaveLength(mapped)
  })

  it('names the first frame of a batch that cannot be mapped, and touches none of it', async () => {
    const host = make()
    await using guest = await open(host)
    host.domain.frames.delete(host.backed.get(300) ?? -1)
    const error = await refusal(
      Promise.resolve().then(() => guest.memory.read({ start: 0, count: 500 }, new Uint8Array(500 * 4096))),
    )
    expect([error.code, error.message]).toEqual(['UNREADABLE', expect.stringContaining('frame 300 ')])
  })

  it('says when the domain is gone, or another one has its number', async () => {
    const host = make()
    await using guest = await open(host)
    host.domain.info = { ...host.domain.info, handle: 'f'.repeat(32) }
    expect(await refusal(guest.pause())).toMatchObject({ code: 'UNAVAILABLE', message: /destroyed, or rebooted/ })
    expect(await refusal(guest.notes())).toMatchObject({ code: 'UNAVAILABLE' })
    host.hypervisor.domains.clear()
    expect(await refusal(guest.hostMemory())).toMatchObject({ code: 'UNAVAILABLE' })
    expect(await refusal(statesOf(guest))).toMatchObject({ code: 'UNAVAILABLE' })
  })

  it('is held by one at a time, and closes what it opened', async () => {
    const host = make()
    const guest = await open(host)
    expect(await refusal(open(make()))).toMatchObject({
      code: 'BUSY',
      message: expect.stringContaining(`${process.pid}`),
    })
    await guest[Symbol.asyncDispose]()
    expect(host.hypervisor.isClosed).toBe(true)
    await (await open(make()))[Symbol.asyncDispose]()
  })

  it('has figures, and notes of the vCPUs that were started', async () => {
    await using guest = await open(make())
    const figures = await guest.hypervisor?.()
    expect(figures?.questions).toBeGreaterThan(0)
    expect(figures?.totalFrames).toBeGreaterThan(1000)
    expect(figures?.populateOnDemand === undefined).toBe(name !== 'PVH')
    expect((await guest.notes()).cpus).toBe(1)
  })
})

describe('a domain', () => {
  it('is found by name or number, and only as a guest', async () => {
    const { hypervisor, domain } = pvhHost()
    const store = fakeStore({
      '/local/domain/0/name': 'Domain-0',
      '/local/domain/7/name': 'web-1',
      '/local/domain/8/name': 'twin',
      '/local/domain/9/name': 'twin',
    })
    const host = { hypervisor, store, domain, backed: new Map() }
    await (await open(host, { domain: 7 }))[Symbol.asyncDispose]()
    const messages: [string | number, string, RegExp][] = [
      ['web-2', 'GUEST_NOT_FOUND', /web-1 \(7\)/],
      ['twin', 'INVALID', /8, 9/],
      ['Domain-0', 'INVALID', /control domain/],
      [0, 'INVALID', /control domain/],
      [5, 'GUEST_NOT_FOUND', /number 5/],
      [40000, 'INVALID', /1 to 32751/],
    ]
    for (const [name, code, message] of messages) {
      const error = await refusal(open({ ...host, hypervisor: new FakeHypervisor(domain) }, { domain: name }))
      expect(error).toMatchObject({ code, message })
    }
  })

  it.each([
    ['is dying', { isDying: true }, /being destroyed/],
    ['has frames paged out', { pagedFrames: 3 }, /3 frames paged out/],
  ])('that %s is refused', async (_, change, message) => {
    const host = pvhHost()
    host.domain.info = { ...host.domain.info, ...change }
    expect(await refusal(open(host))).toMatchObject({ code: 'UNSUPPORTED', message })
  })

  it('that has shut down is dumped as it stands', async () => {
    const host = pvhHost()
    host.domain.info = { ...host.domain.info, isShutdown: true }
    await using guest = await open(host)
    await using lease = await guest.pause()
    expect(lease.mode).toBe('stopped')
  })

  it('of 32 bits is refused', async () => {
    const host = pvHost()
    const hypervisor = new FakeHypervisor({ ...host.domain, addressBits: 32 })
    expect(await refusal(open({ ...host, hypervisor }))).toMatchObject({ code: 'UNSUPPORTED', message: /32 bits/ })
  })

  it('without static-max, or with frames far above its RAM, has a warning', async () => {
    const host = pvhHost({ maximumFrame: 2 ** 36 })
    for (let i = 0; i < 40; i++) host.domain.frames.set(2 ** 20 + i * 2 ** 15, pageOf(i))
    await using guest = await open({ ...host, store: fakeStore({ '/local/domain/7/name': 'web-1' }) })
    expect(guest.warnings.map(({ code }) => code)).toEqual(['RAM_END_UNKNOWN', 'FRAMES_NOT_ASKED'])
    expect(host.hypervisor.questions).toBeLessThan(2 ** 22)
  })

  it('that is paused again is only asked about frames it has not had', async () => {
    const host = pvhHost()
    await using guest = await open(host)
    const before = host.hypervisor.questions
    await (await guest.pause()).resume()
    expect(host.hypervisor.questions - before).toBeLessThan(20)
    expect(guest.memory.extents).toEqual([
      { name: 'ram', start: 0, count: 4096 },
      { name: 'xen-special', start: 4159, count: 1 },
      { name: 'xen-special', start: 0xfc000, count: 4 },
    ])
  })
})

describe('frames that are to be populated on demand', () => {
  const pod = { targetFrames: 3000, cacheFrames: 600, entries: 1200 }

  it('are neither mapped nor called backed, and the domain is not dumped', async () => {
    const host = pvhHost({ pod })
    await using guest = await open(host)
    const states = new Set((await statesOf(guest)).map(({ state }) => state))
    expect(states).toEqual(new Set(['unknown', 'unbacked']))
    const read = await refusal(
      Promise.resolve().then(() => guest.memory.read({ start: 0, count: 1 }, new Uint8Array(4096))),
    )
    expect(read).toMatchObject({ code: 'UNREADABLE', message: /frame 0 .*populateOnDemand/ })
    expect(await refusal(guest.pause())).toMatchObject({
      code: 'UNSUPPORTED',
      message: /1200 frames of domain 7.*600 frames left.*allow populateOnDemand/,
    })
    expect([host.hypervisor.mapped, host.hypervisor.pauses.get()]).toEqual([[], 0])
    expect((await guest.hypervisor?.())?.populateOnDemand).toEqual(pod)
  })

  it('are read when that is allowed, as long as there is memory for all that a read may touch', async () => {
    const host = pvhHost({ pod })
    await using guest = await open(host, { allow: ['populateOnDemand'] })
    // While it runs, somebody else may use up what is left.
    expect(
      await refusal(Promise.resolve().then(() => guest.memory.read({ start: 0, count: 1 }, new Uint8Array(4096)))),
    ).toMatchObject({ code: 'UNREADABLE', message: /crash the domain; a paused domain/ })
    await using lease = await guest.pause()
    expect(lease.mode).toBe('paused')
    guest.memory.read({ start: 0, count: 500 }, new Uint8Array(500 * 4096))
    // Across two large pages: 1024 frames may be populated, 600 are left.
    const into = new Uint8Array(4096 * 600)
    expect(
      await refusal(Promise.resolve().then(() => guest.memory.read({ start: 0, count: 600 }, into))),
    ).toMatchObject({
      code: 'UNREADABLE',
      message: /600 frames are left.*crash/,
    })
    host.domain.pod = { ...pod, cacheFrames: 1200 }
    guest.memory.read({ start: 0, count: 600 }, into)
  })

  it('are no more once there are none: nothing is asked about them again', async () => {
    const host = pvhHost({ pod })
    await using guest = await open(host)
    host.domain.pod = { ...pod, entries: 0 }
    expect((await statesOf(guest)).some(({ state }) => state === 'backed')).toBe(true)
    guest.memory.read({ start: 0, count: 1 }, new Uint8Array(4096))
    await (await guest.pause()).resume()
  })
})

describe('the p2m of a PV domain', () => {
  it('turned round leads from machine frames to frames', async () => {
    const host = pvHost()
    await using guest = await open(host)
    for (const [pfn, frame] of host.backed) expect(guest.addressSpace.toPfn(frame)).toBe(pfn)
    expect(guest.addressSpace.toPfn(0x123)).toBeUndefined()
    expect(guest.memory.extents).toEqual([{ name: 'ram', start: 0, count: 3000 }])
  })

  it('that names frames of another domain gets nothing of them', async () => {
    const theirs = 123_456
    const host = pvHost('linear', { p2m: (entries) => entries.fill(BigInt(theirs), 1000, 1001) })
    await using guest = await open(host)
    expect((await statesOf(guest)).find(({ start, count }) => start <= 1000 && 1000 < start + count)?.state).toBe(
      'unbacked',
    )
    const error = await refusal(
      Promise.resolve().then(() => guest.memory.read({ start: 1000, count: 1 }, new Uint8Array(4096))),
    )
    expect(error).toMatchObject({ code: 'UNREADABLE', message: /frame 1000 .*0x1e240.* for domain 7/ })
  })

  it('with one machine frame behind two frames is followed to the first, with a warning', async () => {
    const host = pvHost('linear', { p2m: (entries) => entries.copyWithin(2000, 0, 3) })
    await using guest = await open(host)
    expect(guest.warnings.map(({ code }) => code)).toEqual(['MACHINE_FRAMES_SHARED'])
    expect(guest.addressSpace.toPfn(host.backed.get(1) ?? -1)).toBe(1)
  })

  const change = (host: FakeHost, frame: number, edit: (view: DataView) => void): void => {
    const page = host.domain.frames.get(frame) as Uint8Array
    edit(new DataView(page.buffer, page.byteOffset))
  }
  it.each([
    ['is not set up yet', 'UNSUPPORTED', 90_000, (view: DataView) => view.setBigUint64(0xc10, 0n, true)],
    ['has a size of 2^63', 'CORRUPT', 90_000, (view: DataView) => view.setBigUint64(0xc10, 1n << 63n, true)],
    [
      'has more frames than any guest',
      'CORRUPT',
      90_000,
      (view: DataView) => view.setBigUint64(0xc10, 1n << 30n, true),
    ],
    [
      'lies in frames that are not the domain’s',
      'CORRUPT',
      90_004,
      (view: DataView) => view.setBigUint64(0, 0x77067n, true),
    ],
    [
      'has a top table that is not the domain’s',
      'CORRUPT',
      90_000,
      (view: DataView) => view.setBigUint64(0xc28, 0x77000n, true),
    ],
    [
      'is mapped by a large page',
      'CORRUPT',
      90_003,
      (view: DataView) => view.setBigUint64(0, 0xe7n | (90_004n << 12n), true),
    ],
    ['cannot be reached', 'CORRUPT', 90_000, (view: DataView) => view.setBigUint64(0xc30, 0n, true)],
  ] as const)('that %s is refused', async (_, code, frame, edit) => {
    const host = pvHost()
    change(host, frame, edit)
    expect(await refusal(open(host))).toMatchObject({ code })
    expect(host.hypervisor.questions).toBeLessThan(100)
  })

  it('that has holes in its tables has frames without memory there', async () => {
    const host = pvHost()
    change(host, 90_004, (view) => view.setBigUint64(8, 0n, true))
    await using guest = await open(host)
    const inHole = (await statesOf(guest)).find(({ start, count }) => start <= 550 && 550 < start + count)
    expect(inHole).toMatchObject({ state: 'unbacked', start: 512 })
  })
})
