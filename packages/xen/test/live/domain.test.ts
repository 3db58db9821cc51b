import { offlineQueryConformance } from '@ullage/offline-query/conformance'
import { describe, expect, it } from 'vitest'
import { pvHost, pvhHost } from './fake-domains.ts'
import { FakeHypervisor, fakeStore, pageOf } from './fake-hypervisor.ts'
import { openFake, readRefusal, refusal, statesOf } from './open-fake.ts'

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
        const guest = await openFake(host)
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
    await using guest = await openFake(host)
    const before = host.hypervisor.asked.length
    await statesOf(guest, [{ start: 0, count: 5000 }])
    expect(host.hypervisor.asked).toHaveLength(before)
    const mapped = host.hypervisor.mapped.length
    const error = await readRefusal(guest, 800, 1)
    expect([error.code, error.message]).toEqual(['UNREADABLE', expect.stringContaining('frame 800 ')])
    if (name !== 'PVH') expect(host.hypervisor.mapped).toHaveLength(mapped)
  })

  it('names the first frame of a batch that cannot be mapped, and touches none of it', async () => {
    const host = make()
    await using guest = await openFake(host)
    host.domain.frames.delete(host.backed.get(300) ?? -1)
    const error = await readRefusal(guest, 0, 500)
    expect([error.code, error.message]).toEqual(['UNREADABLE', expect.stringContaining('frame 300 ')])
  })

  it('says when the domain is gone, or another one has its number', async () => {
    const host = make()
    await using guest = await openFake(host)
    host.domain.info = { ...host.domain.info, handle: 'f'.repeat(32) }
    expect(await refusal(guest.pause())).toMatchObject({ code: 'UNAVAILABLE', message: /destroyed, or rebooted/ })
    expect(await refusal(guest.notes())).toMatchObject({ code: 'UNAVAILABLE' })
    host.hypervisor.domains.clear()
    expect(await refusal(guest.hostMemory())).toMatchObject({ code: 'UNAVAILABLE' })
    expect(await refusal(statesOf(guest))).toMatchObject({ code: 'UNAVAILABLE' })
  })

  it('is held by one at a time, and closes what it opened', async () => {
    const host = make()
    const guest = await openFake(host)
    expect(await refusal(openFake(make()))).toMatchObject({
      code: 'BUSY',
      message: expect.stringContaining(`${process.pid}`),
    })
    await guest[Symbol.asyncDispose]()
    expect(host.hypervisor.isClosed).toBe(true)
    await (await openFake(make()))[Symbol.asyncDispose]()
  })

  it('has figures, and notes of the vCPUs that were started', async () => {
    await using guest = await openFake(make())
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
    await (await openFake(host, { domain: 7 }))[Symbol.asyncDispose]()
    const messages: [string | number, string, RegExp][] = [
      ['web-2', 'GUEST_NOT_FOUND', /web-1 \(7\)/],
      ['twin', 'INVALID', /8, 9/],
      ['Domain-0', 'INVALID', /control domain/],
      [0, 'INVALID', /control domain/],
      [5, 'GUEST_NOT_FOUND', /number 5/],
      [40000, 'INVALID', /1 to 32751/],
    ]
    for (const [name, code, message] of messages) {
      const error = await refusal(openFake({ ...host, hypervisor: new FakeHypervisor(domain) }, { domain: name }))
      expect(error).toMatchObject({ code, message })
    }
  })

  it.each([
    ['is dying', { isDying: true }, /being destroyed/],
    ['has frames paged out', { pagedFrames: 3 }, /3 frames paged out/],
  ])('that %s is refused', async (_, change, message) => {
    const host = pvhHost()
    host.domain.info = { ...host.domain.info, ...change }
    expect(await refusal(openFake(host))).toMatchObject({ code: 'UNSUPPORTED', message })
  })

  it('that has shut down is dumped as it stands', async () => {
    const host = pvhHost()
    host.domain.info = { ...host.domain.info, isShutdown: true }
    await using guest = await openFake(host)
    await using lease = await guest.pause()
    expect(lease.mode).toBe('stopped')
  })

  it('of 32 bits is refused', async () => {
    const host = pvHost()
    const hypervisor = new FakeHypervisor({ ...host.domain, addressBits: 32 })
    expect(await refusal(openFake({ ...host, hypervisor }))).toMatchObject({ code: 'UNSUPPORTED', message: /32 bits/ })
  })

  it('without static-max, or with frames far above its RAM, has a warning', async () => {
    const host = pvhHost({ maximumFrame: 2 ** 36 })
    for (let i = 0; i < 40; i++) host.domain.frames.set(2 ** 20 + i * 2 ** 15, pageOf(i))
    await using guest = await openFake({ ...host, store: fakeStore({ '/local/domain/7/name': 'web-1' }) })
    expect(guest.warnings.map(({ code }) => code)).toEqual(['RAM_END_UNKNOWN', 'FRAMES_NOT_ASKED'])
    expect(host.hypervisor.questions).toBeLessThan(2 ** 22)
  })

  it.each([
    ['pvh', 0xfc000, 0x4000],
    ['hvm', 0xf0000, 0x10000],
  ])('of type %s has its RAM above 4 GiB from what does not fit below', async (type, lowEnd, high) => {
    const host = pvhHost({ maximumFrame: 0x110000 })
    const store = fakeStore({
      '/local/domain/7/name': 'web-1',
      '/local/domain/7/memory/static-max': String(0x100000 * 4 + 64),
      '/local/domain/7/memory/videoram': '64',
      '/libxl/7/type': type,
    })
    await using guest = await openFake({ ...host, store })
    expect(guest.memory.extents.filter(({ name }) => name === 'ram')).toEqual([
      { name: 'ram', start: 0, count: lowEnd },
      { name: 'ram', start: 0x100000, count: high },
    ])
    expect(guest.warnings).toEqual([])
  })

  it('that is paused again is only asked about frames it has not had', async () => {
    const host = pvhHost()
    await using guest = await openFake(host)
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
