import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Fault, kindOf } from '@ullage/lab'
import { afterAll, beforeAll, expect } from 'vitest'
import { until } from '../start-service.ts'
import { fault } from './fault.ts'
import { FaultBench, REAL_GUEST } from './fault-bench.ts'
import { S3Place } from './s3-place.ts'
import { SmallDisk } from './small-disk.ts'

/** The S3 server fails while a real guest is dumped to it. */
const folder = mkdtempSync(join(tmpdir(), 'ullage-small-spool-'))
let spool: SmallDisk
let place: S3Place
let bench: FaultBench
beforeAll(async () => {
  spool = new SmallDisk(join(folder, 'spool'), 256 << 20)
  place = await S3Place.start()
  const workerEnv = { ULLAGE_SPOOL_DIR: spool.folder, ULLAGE_FREE_BYTES: '0' }
  bench = await FaultBench.start({ guests: 'real', place, workerEnv })
})
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]()
  await place?.[Symbol.asyncDispose]()
  spool?.[Symbol.dispose]()
  rmSync(folder, { recursive: true })
})

/** A fault that is over when requests come through again. */
function faultOnS3(name: string, harm: () => Promise<void>): void {
  const mend = () => {
    place.proxy.reset()
    spool.clear()
  }
  fault(name, () => bench, harm, { mend })
}

/** Does harm to requests of one kind, as long as `when` says so. */
function harmTo(kind: string, how: Fault, when: (harmed: number) => boolean = () => true): void {
  let harmed = 0
  place.proxy.choose = ({ method, url }) => {
    if (method === 'DELETE' || method === 'GET' || kindOf(url) !== kind || !when(harmed)) return 'pass'
    harmed++
    return how
  }
}

/** A dump that is made soon, of some parts. */
const quickDump = () => bench.dump({ guest: REAL_GUEST })

const wasHarmed = () => place.proxy.seen.some(({ fault: done }) => done !== 'pass')

faultOnS3('S3 answers 500 to every part', async () => {
  harmTo('part', 'answer500')
  const dump = await quickDump()
  const failed = await bench.service.untilState(dump.id, ['failed'], 120_000)
  expect(failed).toMatchObject({ attempts: 3, failure: { code: 'STORE_UNAVAILABLE' } })
})

faultOnS3('S3 answers 500 to the parts of one attempt', async () => {
  // A part is tried twice; two or three are on their way at a time.
  harmTo('part', 'answer500', (harmed) => harmed < 4)
  const dump = await quickDump()
  await bench.service.untilState(dump.id, ['succeeded'], 120_000)
  expect(wasHarmed()).toBe(true)
})

faultOnS3('S3 hangs while parts are sent', async () => {
  harmTo('part', 'hang')
  const dump = await bench.slowDump()
  await until('a part hangs', wasHarmed, 60_000)
  // The guest stands still for what is written to this host's disk, and not for the store.
  await until('the guest runs', async () => (await bench.guest?.status()) === 'running')
  const { failure } = await bench.service.untilState(dump.id, ['failed'], 120_000)
  expect(failure?.code).toBe('STORE_UNAVAILABLE')
})

faultOnS3('S3 cuts connections off in the middle of parts', async () => {
  harmTo('part', 'cutRequest', (harmed) => harmed % 2 === 0)
  const dump = await quickDump()
  await bench.service.untilState(dump.id, ['succeeded'], 120_000)
  expect(wasHarmed()).toBe(true)
})

faultOnS3('S3 loses the answer to the completion of the upload', async () => {
  harmTo('complete', 'loseAnswer', (harmed) => harmed < 1)
  const dump = await quickDump()
  await bench.service.untilState(dump.id, ['succeeded'], 120_000)
  expect(wasHarmed()).toBe(true)
})

faultOnS3('S3 loses the answer to the report', async () => {
  // The server knows no conditional puts: the answer that says so is lost, and the attempt cannot tell what became of it.
  harmTo('report', 'loseAnswer', (harmed) => harmed < 2)
  const dump = await quickDump()
  await bench.service.untilState(dump.id, ['succeeded'], 120_000)
  expect(wasHarmed()).toBe(true)
  // What such an attempt has stored stays until the worker's next start, which can tell.
  await bench.worker.kill('SIGTERM')
  await bench.startWorker()
})

faultOnS3('kill -9 of the worker while S3 hangs', async () => {
  harmTo('part', 'hang')
  const dump = await quickDump()
  await until('a part hangs', wasHarmed, 60_000)
  await bench.worker.kill('SIGKILL')
  place.proxy.reset()
  await bench.startWorker()
  await bench.service.untilState(dump.id, ['succeeded'], 120_000)
})

faultOnS3('disk of the spool full while pages are written', async () => {
  const dump = await bench.slowDump()
  await bench.untilStage(dump, 'write')
  spool.fill()
  const { failure } = await bench.service.untilState(dump.id, ['failed'])
  expect(failure?.code).toBe('NO_SPACE')
})
