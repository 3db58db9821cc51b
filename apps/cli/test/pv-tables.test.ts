import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport } from '@ullage/dump'
import {
  makedumpfile,
  openKdumpfile,
  openXenCoreView,
  unpackXenFixture,
  type XenCoreView,
  type XenFixture,
} from '@ullage/lab'
import { openVmcore } from '@ullage/vmcore'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareDump } from './compare-dump.ts'
import { runUllage } from './run-ullage.ts'

const FRAME_BYTES = 4096
const FRAME_MASK = 0x000f_ffff_ffff_f000n

const folder = mkdtempSync(join(tmpdir(), 'ullage-pv-tables-'))
afterAll(() => rmSync(folder, { recursive: true }))

let fixture: XenFixture
let core: XenCoreView
/** Page tables by the hypervisor's own count: frame → level. */
let tables: Map<number, number>
beforeAll(async () => {
  fixture = await unpackXenFixture('xen-pv')
  core = openXenCoreView(fixture.core, fixture.kpageflags.length)
  const lines = readFileSync(join(fixture.dir, 'page-tables.tsv'), 'utf8').trim().split('\n')
  tables = new Map(
    lines.map((line) => line.split('\t')).map(([pfn = '', level]) => [Number.parseInt(pfn, 16), Number(level)]),
  )
})
afterAll(() => core?.[Symbol.dispose]())

async function dump(file: string, ...args: string[]): Promise<{ path: string; report: DumpReport }> {
  const path = join(folder, file)
  const { status, stderr } = await runUllage(['dump', fixture.descriptor, '-o', path, ...args], { stateDir: folder })
  expect(`${status} ${stderr}`).toBe('0 ')
  return { path, report: JSON.parse(readFileSync(`${path}.report.json`, 'utf8')) as DumpReport }
}

/** A table whose machine frames are the guest's, by the p2m in the core; other entries as they are. */
function rewritten(pfn: number): { page: Buffer; rewritten: number; left: number } {
  const page = Buffer.alloc(FRAME_BYTES)
  core.read({ start: pfn, count: 1 }, page)
  const counts = { rewritten: 0, left: 0 }
  for (let at = 0; at < FRAME_BYTES; at += 8) {
    const entry = page.readBigUInt64LE(at)
    if ((entry & 1n) === 0n) continue
    const own = core.toPfn(Number((entry & FRAME_MASK) >> 12n))
    counts[own === undefined ? 'left' : 'rewritten']++
    if (own !== undefined) page.writeBigUInt64LE((entry & ~FRAME_MASK) | (BigInt(own) << 12n), at)
  }
  return { page, ...counts }
}

describe.each(['rewrite', 'crash'])('--pv-tables %s', (mode) => {
  test.each(['31', '1'])(
    'level %s: page tables hold the guest’s frames, all other pages are the core’s',
    async (level) => {
      const { path, report } = await dump(`${mode}-${level}.vmcore`, '--pv-tables', mode, '--level', level)
      const { wrong, stored } = compareDump(path, core)
      // Every page that differs is a page table, by the hypervisor's own word, and differs as it must.
      using vmcore = openKdumpfile(path)
      const found = Buffer.alloc(FRAME_BYTES)
      for (const pfn of wrong) {
        expect(tables.has(pfn), `frame ${pfn} is no page table`).toBe(true)
        expect(vmcore.read(pfn * FRAME_BYTES, found)).toBe(true)
        expect(found.equals(rewritten(pfn).page), `frame ${pfn}`).toBe(true)
      }
      // Of all page tables only one is none that a root leads to: the kernel keeps it for a p2m with gaps.
      const kept = [...tables.keys()].filter((pfn) => {
        expect(stored.has(pfn)).toBe(true)
        return !wrong.includes(pfn) && rewritten(pfn).rewritten > 0
      })
      expect(kept).toEqual([0xff69])
      const counts = [...tables.keys()].filter((pfn) => !kept.includes(pfn)).map(rewritten)
      expect(report.pvTables).toEqual({
        mode,
        roots: [...tables.values()].filter((tableLevel) => tableLevel === 4).length,
        tables: tables.size - kept.length,
        entriesRewritten: counts.reduce((sum, count) => sum + count.rewritten, 0),
        entriesLeft: counts.reduce((sum, count) => sum + count.left, 0),
        entriesMisleading: 0,
        registersRewritten: 2,
        registersLeft: 0,
        writableTablesLeft: 0,
        ...(mode === 'crash' ? { addedFrames: { start: 65536, count: 131 } } : {}),
      })
      expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
      expect(report.artifact?.pages).toBe(stored.size + (report.pvTables?.addedFrames?.count ?? 0))
    },
  )

  test('control registers in the notes name the guest’s frames', async () => {
    const { path } = await dump(`${mode}-notes.vmcore`, '--pv-tables', mode)
    await using vmcore = await openVmcore(path)
    const notes = notesOf(Buffer.from(vmcore.info.elfNotes))
    const state = notes.find(({ name }) => name === 'QEMU')?.desc ?? Buffer.alloc(0)
    // QEMUCPUState: five control registers at 392. Xen tells the root that user mode has in CR1.
    for (const root of [3, 1].map((register) => state.readBigUInt64LE(392 + register * 8))) {
      expect(root & ~FRAME_MASK).toBe(0n)
      expect(tables.get(Number(root >> 12n))).toBe(4)
    }
    expect(notes.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'CORE 1',
      'QEMU 0',
      'VMCOREINFO 0',
      ...(mode === 'crash' ? ['ULLAGE 16777217'] : []),
    ])
  })

  test('makedumpfile prints the guest’s log', async () => {
    const { path } = await dump(`${mode}-log.vmcore`, '--pv-tables', mode, '--compress', 'zlib')
    const { status, stdout, stderr } = await makedumpfile(['--dump-dmesg', path, `${path}.log`])
    expect(`${status} ${stdout} ${stderr}`).toMatch(/^0 /)
    const log = readFileSync(`${path}.log`, 'utf8')
    expect(log).toContain(`Linux version ${fixture.uname}`)
    expect(log).toContain('Booting kernel on Xen')
  })
})

test('makedumpfile filters a rewritten dump, and leaves in it what we do', async () => {
  const whole = await dump('whole.vmcore', '--pv-tables', 'rewrite', '--compress', 'zlib', '--level', '1')
  const ours = await dump('ours.vmcore', '--pv-tables', 'rewrite', '--compress', 'zlib')
  const theirs = join(folder, 'theirs.vmcore')
  const { status, stdout, stderr } = await makedumpfile(['-c', '-d', '31', whole.path, theirs])
  expect(`${status} ${stdout} ${stderr}`).toMatch(/^0 /)
  const [left, right] = [compareDump(ours.path, core), compareDump(theirs, core)]
  expect([...right.stored.allRuns()]).toEqual([...left.stored.allRuns()])
  expect(right.wrong).toEqual(left.wrong)
})

test('a guest whose page tables hold its own frames is refused before anything is written', async () => {
  const { descriptor } = await unpackXenFixture('xen-pvh')
  const output = join(folder, 'pvh.vmcore')
  const { status, stderr } = await runUllage(['dump', descriptor, '-o', output, '--pv-tables', 'rewrite'], {
    stateDir: folder,
  })
  expect(status).toBe(2)
  expect(stderr).toMatch(
    /^ullage: pvTables: expected a Xen PV guest for rewrite.*leave the option out \[INVALID_OPTION\]\n$/,
  )
})

/** ELF notes: sizes of name and description and the type, u32 each; both padded to four bytes. */
function notesOf(bytes: Buffer): { name: string; type: number; desc: Buffer }[] {
  const notes = []
  for (let at = 0; at < bytes.length; ) {
    const [nameBytes, descBytes, type] = [0, 4, 8].map((offset) => bytes.readUInt32LE(at + offset)) as [
      number,
      number,
      number,
    ]
    const desc = at + 12 + Math.ceil(nameBytes / 4) * 4
    const name = bytes.toString('latin1', at + 12, at + 11 + nameBytes)
    notes.push({ name, type, desc: bytes.subarray(desc, desc + descBytes) })
    at = desc + Math.ceil(descBytes / 4) * 4
  }
  return notes
}
