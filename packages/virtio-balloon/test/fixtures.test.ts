import { basename } from 'node:path'
import { FIXTURE_NAMES, type Fixture, unpackFixture } from '@ullage/lab'
import type { BackingRun } from '@ullage/offline-query'
import { type ConformanceFixture, offlineQueryConformance } from '@ullage/offline-query/conformance'
import { openVirtioBalloon } from '@ullage/virtio-balloon'
import { beforeAll, describe, expect, it } from 'vitest'
import { FRAME_BYTES, readAt } from './live-fixture.ts'

/** The kept guest as its `guest.json` describes it; its truth from `backing.json` and the files' bytes alone. */
async function fixtureOf(fixture: Fixture, files: { backing?: string }): Promise<ConformanceFixture> {
  const states = fixture.regions.flatMap(({ gpaBytes, sizeBytes, offsetBytes, backedBytes }) =>
    backedBytes.flatMap(({ startByte, endByte }): BackingRun[] => {
      const start = Math.max(startByte, offsetBytes)
      const end = Math.min(endByte, offsetBytes + sizeBytes)
      if (end <= start) return []
      const count = (end - start) / FRAME_BYTES
      return [{ start: (gpaBytes + start - offsetBytes) / FRAME_BYTES, count, state: 'backed' }]
    }),
  )
  const regions = fixture.regions.map(({ gpaBytes, sizeBytes, file, offsetBytes }) => ({
    gpa: gpaBytes,
    size: sizeBytes,
    file: basename(file),
    offset: offsetBytes,
  }))
  const options = { baseDir: fixture.dir, stateDir: fixture.dir }
  return {
    guest: await openVirtioBalloon({ kind: 'files', regions, notes: 'notes.elf', ...files }, options),
    truth: {
      states,
      content: (pfn) => {
        const at = pfn * FRAME_BYTES
        const region = fixture.regions.find(({ gpaBytes, sizeBytes }) => gpaBytes <= at && at < gpaBytes + sizeBytes)
        if (!region) throw new RangeError(`frame ${pfn} is not in ${fixture.name}`)
        return readAt(region.file, at - region.gpaBytes + region.offsetBytes, FRAME_BYTES)
      },
    },
  }
}

describe.each(FIXTURE_NAMES)('the kept guest %s', (name) => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await unpackFixture(name)
  })

  it('has the notes of its CPUs and VMCOREINFO', async () => {
    const { guest } = await fixtureOf(fixture, { backing: 'backing.json' })
    await using opened = guest
    expect(opened.identity.machine).toBe('x86_64')
    expect(opened.warnings).toEqual([])
    const { elfNotes, cpus } = await opened.notes()
    expect(Buffer.from(elfNotes).equals(fixture.elfNotes)).toBe(true)
    expect(cpus).toBe(2)
  })

  for (const files of [{ backing: 'backing.json' }, {}]) {
    const how = files.backing === undefined ? 'by the holes of its files' : `by ${files.backing}`
    offlineQueryConformance({ describe, it }, { name: how, open: () => fixtureOf(fixture, files) })
  }
})
