import { describe, expect, it } from 'vitest'
import { type FakeHost, pvHost, pvhHost } from './fake-domains.ts'
import { openFake, readRefusal, refusal, statesOf } from './open-fake.ts'

describe('frames that are to be populated on demand', () => {
  const pod = { targetFrames: 3000, cacheFrames: 600, entries: 1200 }

  it('are neither mapped nor called backed, and the domain is not dumped', async () => {
    const host = pvhHost({ pod })
    await using guest = await openFake(host)
    const states = new Set((await statesOf(guest)).map(({ state }) => state))
    expect(states).toEqual(new Set(['unknown', 'unbacked']))
    const read = await readRefusal(guest, 0, 1)
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
    await using guest = await openFake(host, { allow: ['populateOnDemand'] })
    // While it runs, somebody else may use up what is left.
    expect(await readRefusal(guest, 0, 1)).toMatchObject({
      code: 'UNREADABLE',
      message: /crash the domain; a paused domain/,
    })
    await using lease = await guest.pause()
    expect(lease.mode).toBe('paused')
    guest.memory.read({ start: 0, count: 500 }, new Uint8Array(500 * 4096))
    // Across two large pages: 1024 frames may be populated, 600 are left.
    const into = new Uint8Array(4096 * 600)
    expect(await readRefusal(guest, 0, 600)).toMatchObject({
      code: 'UNREADABLE',
      message: /600 frames are left.*crash/,
    })
    host.domain.pod = { ...pod, cacheFrames: 1200 }
    guest.memory.read({ start: 0, count: 600 }, into)
  })

  it('are no more once there are none: nothing is asked about them again', async () => {
    const host = pvhHost({ pod })
    await using guest = await openFake(host)
    host.domain.pod = { ...pod, entries: 0 }
    expect((await statesOf(guest)).some(({ state }) => state === 'backed')).toBe(true)
    guest.memory.read({ start: 0, count: 1 }, new Uint8Array(4096))
    await (await guest.pause()).resume()
  })
})

describe('the p2m of a PV domain', () => {
  it('turned round leads from machine frames to frames', async () => {
    const host = pvHost()
    await using guest = await openFake(host)
    for (const [pfn, frame] of host.backed) expect(guest.addressSpace.toPfn(frame)).toBe(pfn)
    expect(guest.addressSpace.toPfn(0x123)).toBeUndefined()
    expect(guest.memory.extents).toEqual([{ name: 'ram', start: 0, count: 3000 }])
  })

  it('that names frames of another domain gets nothing of them', async () => {
    const theirs = 123_456
    const host = pvHost('linear', { p2m: (entries) => entries.fill(BigInt(theirs), 1000, 1001) })
    await using guest = await openFake(host)
    expect((await statesOf(guest)).find(({ start, count }) => start <= 1000 && 1000 < start + count)?.state).toBe(
      'unbacked',
    )
    const error = await readRefusal(guest, 1000, 1)
    expect(error).toMatchObject({ code: 'UNREADABLE', message: /frame 1000 .*0x1e240.* for domain 7/ })
  })

  it('with one machine frame behind two frames is followed to the first, with a warning', async () => {
    const host = pvHost('linear', { p2m: (entries) => entries.copyWithin(2000, 0, 3) })
    await using guest = await openFake(host)
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
    expect(await refusal(openFake(host))).toMatchObject({ code })
    expect(host.hypervisor.questions).toBeLessThan(100)
  })

  it('that has holes in its tables has frames without memory there', async () => {
    const host = pvHost()
    change(host, 90_004, (view) => view.setBigUint64(8, 0n, true))
    await using guest = await openFake(host)
    const inHole = (await statesOf(guest)).find(({ start, count }) => start <= 550 && 550 < start + count)
    expect(inHole).toMatchObject({ state: 'unbacked', start: 512 })
  })
})
