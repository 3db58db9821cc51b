import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openHyperv } from '@ullage/hyperv'
import { type FixtureSavedState, type HypervFixture, unpackHypervFixture, writeFixtureSavedState } from '@ullage/lab'
import { findElfNote } from '@ullage/layout'
import type { BackingRun, OpenGuest } from '@ullage/offline-query'
import { offlineQueryConformance } from '@ullage/offline-query/conformance'
import { endOf } from '@ullage/pages'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const BLOCK_FRAMES = 256
const FORMS = ['raw', 'pages', 'whole'] as const

describe.each(FORMS)('a real guest as a saved state of %s blocks', (form) => {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-saved-'))
  let fixture: HypervFixture
  let saved: FixtureSavedState
  const open = (): Promise<OpenGuest> =>
    openHyperv({ kind: 'saved-state', file: saved.path }, { baseDir: '/', stateDir: folder })
  beforeAll(async () => {
    fixture = await unpackHypervFixture()
    saved = writeFixtureSavedState(join(folder, `${form}.vmrs`), fixture, form)
  })
  afterAll(() => {
    saved?.memory[Symbol.dispose]()
    rmSync(folder, { recursive: true })
  })

  it('has its RAM, the hot-added part apart', async () => {
    await using guest = await open()
    expect(guest.memory.extents.map(({ name, start, count }) => [name, start, count])).toEqual([
      ['RamMemoryBlock0', 0, 40_960],
      ['RamMemoryBlock1', 40_960, 24_576],
      ['RamMemoryBlock2 (hot-added)', 0x80_0000, 25_600],
    ])
    expect(guest.warnings.map(({ code }) => code)).toEqual(['UNVERIFIED_FORMAT', 'BLOCKS_ABSENT'])
  })

  it('has the registers that the notes of the guest have', async () => {
    await using guest = await open()
    const { elfNotes } = await guest.notes()
    const own = await readFile(join(fixture.dir, 'notes.elf'))
    const [found, expected] = [elfNotes, own.subarray(own.indexOf('CORE\0') - 12)].map((notes) => {
      const [core, qemu] = ['CORE', 'QEMU'].map((name) => findElfNote(notes, name)?.desc as Uint8Array)
      return {
        registers: Buffer.from(core?.subarray(112, 112 + 27 * 8) ?? []),
        control: Buffer.from(qemu?.subarray(392) ?? []),
      }
    })
    expect(found?.control.length).toBe(48)
    expect(found).toEqual(expected)
  })

  offlineQueryConformance(
    { describe, it },
    {
      name: `a saved state of ${form} blocks`,
      open: async () => {
        const guest = await open()
        const states: BackingRun[] = guest.memory.extents.flatMap((extent) => {
          const runs: BackingRun[] = []
          for (let start = extent.start; start < endOf(extent); start += BLOCK_FRAMES) {
            const state = saved.isAbsent(start) ? 'unbacked' : 'unknown'
            runs.push({ start, count: Math.min(BLOCK_FRAMES, endOf(extent) - start), state })
          }
          return runs
        })
        return {
          guest,
          truth: {
            states,
            content: (pfn) => {
              const page = new Uint8Array(4096)
              if (saved.memory.backed.has(pfn)) saved.memory.read({ start: pfn, count: 1 }, page)
              return page
            },
          },
        }
      },
    },
  )
})
