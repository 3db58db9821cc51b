/**
 * Runs the conformance suite on a live domain of this host, which must stand still (`xl pause`), and prints a line for each
 * test. To be run in a Xen control domain: `node dom0-conformance.ts DOMAIN [CORE]`. What is true is found out by mapping
 * each frame of a translated domain by its number, or from a core file of `xl dump-core` (PV).
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openXenCoreView } from '@ullage/lab'
import { openXenForeignMemory } from '@ullage/native'
import { type GuestTruth, offlineQueryConformance } from '@ullage/offline-query/conformance'
import { openXen } from '@ullage/xen'

const FRAME_BYTES = 4096
const BATCH = 512
const [, , name = '', core] = process.argv
const domain = /^\d+$/.test(name) ? Number(name) : name
const stateDir = mkdtempSync(join(tmpdir(), 'ullage-state-'))
const open = () => openXen({ kind: 'domain', domain }, { baseDir: '/', stateDir })

const truth = core === undefined ? await mappedTruth() : coreTruth(core)
const tests: { name: string; body: () => Promise<void> }[] = []
const groups: string[] = []
offlineQueryConformance(
  {
    describe(group, body) {
      groups.push(group)
      body()
      groups.pop()
    },
    it: (test, body) => tests.push({ name: [...groups.slice(1), test].join(': '), body }),
  },
  { name, open: async () => ({ guest: await open(), truth }) },
)
let failures = 0
for (const test of tests) {
  const start = performance.now()
  const error = await test.body().then(
    () => undefined,
    (reason: unknown) => reason ?? 'failed',
  )
  if (error !== undefined) failures++
  const why = error instanceof Error ? `: ${error.message}` : ''
  console.log(
    `${error === undefined ? 'ok' : 'FAILED'} ${test.name} (${Math.round(performance.now() - start)} ms)${why}`,
  )
}
console.log(`${tests.length} tests, ${failures} failed`)
process.exitCode = failures === 0 ? 0 : 1

/** Every frame up to the highest of guest RAM is mapped, in batches and by its number, and hashed by nobody. */
async function mappedTruth(): Promise<GuestTruth> {
  await using guest = await open()
  const { extents } = guest.memory
  const end = Math.max(...extents.map(({ start, count }) => start + count))
  const { store, domid } = await domainNumber()
  store[Symbol.dispose]()
  const memory = openXenForeignMemory()
  const states: { start: number; count: number; state: 'backed' }[] = []
  for (let at = 0; at < end; at += BATCH) {
    const frames = Array.from({ length: Math.min(BATCH, end - at) }, (_, i) => at + i)
    memory.map(domid, frames, (_, errors) => {
      errors.forEach((error, i) => {
        if (error === 0) states.push({ start: at + i, count: 1, state: 'backed' })
      })
    })
  }
  const content = (pfn: number): Uint8Array => {
    const page = new Uint8Array(FRAME_BYTES)
    memory.map(domid, [pfn], (bytes, errors) => {
      if (errors[0] !== 0) throw new Error(`frame ${pfn} is not mapped: ${errors[0]}`)
      bytes.read(0, page)
    })
    return page
  }
  return { states: joined(states), content }
}

async function domainNumber() {
  const { openXenStore } = await import('@ullage/native')
  const store = openXenStore()
  const ids = store.list('/local/domain').map(Number)
  const domid =
    typeof domain === 'number' ? domain : ids.find((id) => store.read(`/local/domain/${id}/name`) === domain)
  if (domid === undefined) throw new Error(`no domain ${name}`)
  return { store, domid }
}

function coreTruth(path: string): GuestTruth {
  const view = openXenCoreView(path, 0)
  const states = [...view.backed.allRuns()].map(({ start, count }) => ({ start, count, state: 'backed' as const }))
  const content = (pfn: number): Uint8Array => {
    const page = new Uint8Array(FRAME_BYTES)
    view.read({ start: pfn, count: 1 }, page)
    return page
  }
  return { states, content }
}

function joined<R extends { start: number; count: number }>(runs: readonly R[]): R[] {
  const found: R[] = []
  for (const run of runs) {
    const last = found.at(-1)
    if (last && last.start + last.count === run.start)
      found[found.length - 1] = { ...last, count: last.count + run.count }
    else found.push(run)
  }
  return found
}
