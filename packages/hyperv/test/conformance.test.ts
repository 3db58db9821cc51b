import { readFileSync } from 'node:fs'
import { type HypervFixture, unpackHypervFixture } from '@ullage/lab'
import { offlineQueryConformance } from '@ullage/offline-query/conformance'
import { beforeAll, describe, expect, it } from 'vitest'
import { fixtureGuest, holesOf, toldByRanges } from './fixture-guest.ts'

let fixture: HypervFixture
beforeAll(async () => {
  fixture = await unpackHypervFixture()
})

const ranges = () => toldByRanges(readFileSync(fixture.ranges, 'utf8'))

offlineQueryConformance(
  { describe, it },
  {
    name: 'hyperv, files with a hole map',
    open: () =>
      fixtureGuest(fixture, { witnesses: { backing: 'backing.json' }, unbacked: holesOf(fixture), rest: 'backed' }),
  },
)

offlineQueryConformance(
  { describe, it },
  {
    name: 'hyperv, files with ranges',
    open: () => fixtureGuest(fixture, { witnesses: { ranges: 'dm-ranges.json' }, unbacked: ranges(), rest: 'unknown' }),
  },
)

offlineQueryConformance(
  { describe, it },
  {
    name: 'hyperv, files with messages',
    open: () => fixtureGuest(fixture, { witnesses: { messages: 'dm.jsonl' }, unbacked: ranges(), rest: 'unknown' }),
  },
)

offlineQueryConformance(
  { describe, it },
  {
    name: 'hyperv, files with ranges, messages and a hole map, which decides',
    open: () =>
      fixtureGuest(fixture, {
        witnesses: { ranges: 'dm-ranges.json', messages: 'dm.jsonl', backing: 'backing.json' },
        unbacked: holesOf(fixture),
        rest: 'backed',
      }),
  },
)

describe('the kept guest', () => {
  it('has the notes of its CPU and VMCOREINFO, and nothing to warn of', async () => {
    const witnesses = { ranges: 'dm-ranges.json', messages: 'dm.jsonl', backing: 'backing.json' }
    const opened = await fixtureGuest(fixture, { witnesses, unbacked: holesOf(fixture), rest: 'backed' })
    await using guest = opened.guest
    expect(guest.warnings).toEqual([])
    expect(guest.identity).toEqual({ backend: 'hyperv', machine: 'x86_64', kind: 'file' })
    expect((await guest.notes()).cpus).toBe(1)
    await opened.dispose?.()
  })
})
