import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { until } from '../start-service.ts'
import { fault } from './fault.ts'
import { FaultBench, REAL_GUEST } from './fault-bench.ts'
import { SmallDisk } from './small-disk.ts'

/** Each file system that the service writes to is full while a real guest is dumped. Needs root, to mount small ones. */
const folder = mkdtempSync(join(tmpdir(), 'ullage-small-disks-'))
const MIB = 2 ** 20

let bench: FaultBench
let artifacts: SmallDisk
let journal: SmallDisk
let state: SmallDisk
beforeAll(async () => {
  journal = new SmallDisk(join(folder, 'journal'), 2 * MIB)
  state = new SmallDisk(join(folder, 'state'), MIB)
  bench = await FaultBench.start({
    guests: 'real',
    apiEnv: { ULLAGE_STATE_DIR: journal.folder },
    workerEnv: { ULLAGE_STATE_DIR: state.folder },
  })
  artifacts = new SmallDisk(bench.service.artifactsDir, 256 * MIB)
  bench.watchArtifacts()
})
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]()
  for (const disk of [artifacts, journal, state]) disk?.[Symbol.dispose]()
  rmSync(folder, { recursive: true })
})

fault(
  'disk of artifacts full before the header',
  () => bench,
  async () => {
    artifacts.fill(64 << 10)
    const dump = await bench.slowDump()
    const { failure } = await bench.service.untilState(dump.id, ['failed'])
    artifacts.clear()
    expect(failure?.code).toBe('NO_SPACE')
  },
)

fault(
  'disk of artifacts full while pages are written',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    await bench.untilStage(dump, 'write')
    artifacts.fill()
    const { failure } = await bench.service.untilState(dump.id, ['failed'])
    artifacts.clear()
    expect(failure?.code).toBe('NO_SPACE')
  },
)

fault(
  'disk of artifacts full while the artifact is read back, before the report',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    await bench.untilStage(dump, 'verify')
    artifacts.fill()
    const { failure } = await bench.service.untilState(dump.id, ['failed'])
    artifacts.clear()
    expect(failure?.code).toBe('NO_SPACE')
  },
)

fault(
  "disk of the worker's state full",
  () => bench,
  async () => {
    state.fill()
    const dump = await bench.slowDump()
    const { failure } = await bench.service.untilState(dump.id, ['failed'])
    state.clear()
    expect(failure?.code).toBe('NO_SPACE')
  },
)

fault(
  'disk of the journal full when a dump is posted',
  () => bench,
  async () => {
    journal.fill()
    const refused = await bench.service.post({ guest: REAL_GUEST })
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ code: 'JOURNAL_UNWRITABLE' })
    expect((await bench.service.request('/readyz')).status).toBe(503)
    journal.clear()
    expect((await bench.service.request('/readyz')).status).toBe(200)
  },
)

fault(
  'disk of the journal full while a dump ends',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    await bench.untilStage(dump, 'write')
    journal.fill()
    await until('it is published', () => bench.saidPublished(dump.id) === 1, 60_000)
    journal.clear()
    await bench.service.untilState(dump.id, ['succeeded'])
  },
)
