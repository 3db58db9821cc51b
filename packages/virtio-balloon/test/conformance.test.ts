import { truncateSync } from 'node:fs'
import { bootGuest, type LabGuest } from '@ullage/lab'
import { offlineQueryConformance } from '@ullage/offline-query/conformance'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { liveFixture, MIB_FRAMES } from './live-fixture.ts'
import { makeGuest } from './made-files.ts'

describe('files with their own holes', () => {
  const made = makeGuest('kept')
  const cut = makeGuest('kept')
  afterAll(() => {
    made[Symbol.dispose]()
    cut[Symbol.dispose]()
  })
  offlineQueryConformance(
    { describe, it },
    {
      name: 'virtio-balloon, files',
      open: () => made.open(),
      openFailing: async () => {
        const fixture = await cut.open()
        truncateSync(cut.ramPath, 4096 * 1024)
        return fixture
      },
    },
  )
})

describe('files whose holes were lost in a copy', () => {
  const made = makeGuest('lost')
  afterAll(() => made[Symbol.dispose]())
  offlineQueryConformance(
    { describe, it },
    { name: 'virtio-balloon, files with a backing map', open: () => made.open({ backing: 'backing.json' }) },
  )
})

describe('a live guest, split above 4 GiB, with virtio-mem', () => {
  let guest: LabGuest
  beforeAll(async () => {
    const virtioMem = { sizeMiB: 256, requestedMiB: 96 }
    guest = await bootGuest({ era: 'bookworm', memMiB: 256, balloonMiB: 60, maxRamBelow4gMiB: 128, virtioMem })
    await guest.stop()
  })
  afterAll(async () => {
    await guest?.[Symbol.asyncDispose]()
  })

  offlineQueryConformance(
    { describe, it },
    {
      name: 'virtio-balloon, live',
      open: () =>
        liveFixture(guest, [
          { start: 0, count: 128 * MIB_FRAMES, file: 0, at: 0 },
          { start: 4096 * MIB_FRAMES, count: 128 * MIB_FRAMES, file: 0, at: 128 * MIB_FRAMES },
          { start: 5120 * MIB_FRAMES, count: 256 * MIB_FRAMES, file: 1, at: 0 },
        ]),
    },
  )
})
