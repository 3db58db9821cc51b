import { truncateSync } from 'node:fs'
import { bootGuest, type LabGuest } from '@ullage/lab'
import { type GuestTruth, offlineQueryConformance } from '@ullage/offline-query/conformance'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { liveFixture, MIB_FRAMES, type Placed, truthOfFiles, truthOfProcess } from './live-fixture.ts'
import { makeGuest } from './made-files.ts'

/** 256 MiB of RAM, half of it above 4 GiB, and a virtio-mem device at the next GiB, as a q35 machine has them. */
const split: readonly Placed[] = [
  { start: 0, count: 128 * MIB_FRAMES, file: 0, at: 0 },
  { start: 4096 * MIB_FRAMES, count: 128 * MIB_FRAMES, file: 0, at: 128 * MIB_FRAMES },
]
const vmem: Placed = { start: 5120 * MIB_FRAMES, count: 256 * MIB_FRAMES, file: 1, at: 0 }

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
      open: () => liveFixture(guest, truthOfFiles(guest, [...split, vmem])),
    },
  )
})

describe('a live guest with anonymous memory', () => {
  let guest: LabGuest
  let truth: GuestTruth
  beforeAll(async () => {
    guest = await bootGuest({
      era: 'bookworm',
      memMiB: 256,
      balloonMiB: 60,
      maxRamBelow4gMiB: 128,
      memory: 'anonymous',
    })
    await guest.stop()
    const address = Number(/is (0x[0-9a-f]+)/.exec(await guest.hmp('gpa2hva 0'))?.[1])
    truth = truthOfProcess(guest, split, address)
  })
  afterAll(async () => {
    await guest?.[Symbol.asyncDispose]()
  })

  offlineQueryConformance(
    { describe, it },
    { name: 'virtio-balloon, live, anonymous', open: () => liveFixture(guest, truth) },
  )
})
