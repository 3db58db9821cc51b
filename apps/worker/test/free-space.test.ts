import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpResource } from '@ullage/dump-job'
import { bootGuest, type LabGuest } from '@ullage/lab'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { SmallDisk } from './faults/small-disk.ts'
import { keptGuest } from './kept-guest.ts'
import { type Running, Service, until } from './start-service.ts'

/** Dumps to small file systems of their own, by real processes, of which something is to stay free. Needs root, to mount them. */
const DOUBLE = new URL('./double-worker.ts', import.meta.url)
const MIB = 2 ** 20
const KEEP_FREE = 8 * MIB
/** Written at a time by the double, and by the engine at most. */
const ONE_WRITE = 4 * MIB

interface Bench extends AsyncDisposable {
  readonly service: Service
  readonly worker: Running
  readonly artifacts: SmallDisk
  readonly spool: SmallDisk
  /** Least that was free where artifacts are since the beginning, in bytes. */
  least(): number
}

/** Of guests that are doubles. */
const files = mkdtempSync(join(tmpdir(), 'ullage-free-space-'))
afterAll(() => rmSync(files, { recursive: true }))

async function start(options: {
  guests: Readonly<Record<string, object>>
  artifactsBytes: number
  main?: URL
  encrypted?: boolean
}): Promise<Bench> {
  await using stack = new AsyncDisposableStack()
  const service = stack.use(await Service.start())
  for (const [name, descriptor] of Object.entries(options.guests)) {
    service.describe(name, descriptor)
  }
  const artifacts = stack.use(new SmallDisk(service.artifactsDir, options.artifactsBytes))
  const spool = stack.use(new SmallDisk(join(service.folder, 'spool'), 64 * MIB))
  const keyFile = join(service.folder, 'key')
  writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
  const worker = await service.startWorker({
    ...(options.main && { main: options.main }),
    env: {
      ULLAGE_CONCURRENCY: '2',
      // No pages are copied, so that a guest stands still for as long as its dump is written.
      ULLAGE_DUMP_MEMORY_BYTES: '0',
      ULLAGE_DUMP_THREADS: '1',
      ULLAGE_FREE_BYTES: String(KEEP_FREE),
      ULLAGE_SPOOL_DIR: spool.folder,
      ...(options.encrypted && { ULLAGE_KEY_FILE: keyFile }),
    },
  })
  let least = artifacts.freeBytes
  const look = setInterval(() => {
    least = Math.min(least, artifacts.freeBytes)
  }, 5)
  stack.defer(() => clearInterval(look))
  const kept = stack.move()
  return { service, worker, artifacts, spool, least: () => least, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** A guest of the double's, whose artifact may take and takes so much, finished when a file of its name is there, if so asked. */
function double(name: string, options: { atMostBytes: number; writtenBytes: number; holds?: boolean }): object {
  const { holds, ...bytes } = options
  return {
    backend: 'test-double',
    attempts: ['succeed'],
    counter: join(files, `${name}.attempts`),
    space: { atLeastBytes: MIB, ...bytes, ...(holds && { until: join(files, name) }) },
  }
}

/** Lets a dump finish that is held. */
function release(name: string): void {
  writeFileSync(join(files, name), '')
}

async function untilWritten(service: Service, { id }: DumpResource): Promise<void> {
  await until('it is written', async () => (await service.show(id)).progress?.stage === 'write')
}

/** A dump that is written, and another one that waits for its room. */
async function oneWritesOneWaits({ service, worker }: Bench, one: string, other: string) {
  const writing = await service.dump({ guest: one })
  await untilWritten(service, writing)
  const waiting = await service.dump({ guest: other })
  await until(
    () => `the other one waits: ${worker.log()}`,
    () => saidOf(worker, waiting, 'the dump waits for free space') !== undefined,
  )
  return { writing, waiting }
}

function saidOf({ log }: Running, dump: DumpResource, message: string): string | undefined {
  return log()
    .split('\n')
    .find((line) => line.includes(dump.id) && line.includes(`"msg":"${message}"`))
}

describe('dumps of a worker', () => {
  let bench: Bench
  let service: Service
  beforeAll(async () => {
    const half = { atMostBytes: 32 * MIB, writtenBytes: 20 * MIB }
    const guests = {
      first: double('first', { ...half, holds: true }),
      second: double('second', { ...half, holds: true }),
      other: double('other', half),
      large: double('large', { atMostBytes: 200 * MIB, writtenBytes: 200 * MIB }),
      small: double('small', { atMostBytes: 2 * MIB, writtenBytes: MIB }),
    }
    bench = await start({ guests, artifactsBytes: 64 * MIB, main: DOUBLE })
    service = bench.service
  })
  afterEach(async () => {
    bench.artifacts.clear()
    const dumps = new Set(service.files().map((file) => file.split('/')[0]))
    for (const id of dumps) await service.request(`/v1/dumps/${id}`, { method: 'DELETE' })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  test('that have room one after the other wait for each other, and are made', async () => {
    const { writing, waiting } = await oneWritesOneWaits(bench, 'first', 'other')
    const { worker, least } = bench
    expect((await service.show(waiting.id)).state).toBe('running')
    release('first')
    expect(saidOf(worker, waiting, 'the dump waits for free space')).toContain('others may still write 33554432')
    for (const { id } of [writing, waiting]) await service.untilState(id, ['succeeded'])
    expect(saidOf(worker, waiting, 'there is free space now: the dump goes on')).toBeDefined()
    expect(least()).toBeGreaterThanOrEqual(KEEP_FREE)
  })

  test('that wait are cancelled at once, and what they waited for is made', async () => {
    const { writing, waiting } = await oneWritesOneWaits(bench, 'second', 'other')
    await service.request(waiting.links.self, { method: 'DELETE' })
    const { failure } = await service.untilState(waiting.id, ['cancelled'])
    expect(failure?.code).toBe('CANCELLED')
    expect((await service.show(writing.id)).state).toBe('running')
    release('second')
    await service.untilState(writing.id, ['succeeded'])
    expect(service.files().toSorted()).toEqual([`${writing.id}/report.json`, `${writing.id}/vmcore`])
  })

  test('that would leave too little free end with the numbers, and leave nothing behind', async () => {
    const before = bench.artifacts.freeBytes
    const { id } = await service.dump({ guest: 'large' })
    const { failure, attempts } = await service.untilState(id, ['failed'])
    expect(failure?.code).toBe('NO_SPACE')
    expect(failure?.message).toMatch(
      /^expected the dump to leave 8388608 bytes free where .+ is \(ULLAGE_FREE_BYTES\), found \d+ free at the last look, and \d+ bytes were written since; nothing was kept/,
    )
    expect(attempts).toBe(1)
    expect(bench.least()).toBeGreaterThanOrEqual(KEEP_FREE - ONE_WRITE)
    expect(service.files()).toEqual([])
    expect(bench.artifacts.freeBytes).toBeGreaterThan(before - MIB)
  })

  test('of which not even the least fits are not begun', async () => {
    bench.artifacts.fill(KEEP_FREE + MIB / 2)
    const { id } = await service.dump({ guest: 'small' })
    const { failure } = await service.untilState(id, ['failed'])
    expect(failure?.code).toBe('NO_SPACE')
    expect(failure?.message).toMatch(
      /^the dump takes 1048576 to 2097152 bytes where .+ nothing was written: free at least \d+ /,
    )
    bench.artifacts.clear()
    await service.untilState((await service.dump({ guest: 'small' })).id, ['succeeded'])
  })
})

test.each([false, true])(
  'the engine stops at the floor of the folder of artifacts; encrypted: %s',
  async (encrypted) => {
    const guests = { kept: await keptGuest() }
    await using bench = await start({ guests, artifactsBytes: 28 * MIB, encrypted })
    const { service, spool } = bench
    const { id } = await service.dump({ guest: 'kept', level: 1, compression: 'none' })
    const { failure } = await service.untilState(id, ['failed'])
    expect(failure).toMatchObject({ code: 'NO_SPACE', message: expect.stringContaining('leave 8388608 bytes free') })
    expect(failure?.message).toContain(service.artifactsDir)
    expect(bench.least()).toBeGreaterThanOrEqual(KEEP_FREE - ONE_WRITE)
    expect(service.files()).toEqual([])
    expect(readdirSync(spool.folder)).toEqual([])
    // What leaves enough is made.
    await service.untilState((await service.dump({ guest: 'kept' })).id, ['succeeded'])
  },
)

describe('a live guest', () => {
  let guest: LabGuest
  let bench: Bench
  beforeAll(async () => {
    guest = await bootGuest({ era: 'bookworm', memMiB: 192, balloonMiB: 64, fillMiB: 32 })
    const live = { backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } }
    bench = await start({ guests: { live, kept: await keptGuest() }, artifactsBytes: 96 * MIB })
  })
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]()
    await guest?.[Symbol.asyncDispose]()
  })

  test('runs while its dump waits for space, and when that is cancelled', async () => {
    const { service, worker } = bench
    const writing = await service.dump({ guest: 'kept', level: 1, compression: 'zlib' })
    await untilWritten(service, writing)
    const pid = Number(/"pid":(\d+),"msg"/.exec(saidOf(worker, writing, 'dump process started') ?? '')?.[1])
    process.kill(pid, 'SIGSTOP')
    try {
      const waiting = await service.dump({ guest: 'live', level: 0 })
      await until(
        () => `it waits: ${worker.log()}`,
        () => saidOf(worker, waiting, 'the dump waits for free space') !== undefined,
      )
      expect(await guest.status()).toBe('running')
      await service.request(waiting.links.self, { method: 'DELETE' })
      await service.untilState(waiting.id, ['cancelled'])
      expect(await guest.status()).toBe('running')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await service.untilState(writing.id, ['succeeded'])
    await service.request(writing.links.self, { method: 'DELETE' })
  })

  test('runs again when its dump has come to the floor', async () => {
    const { service, artifacts } = bench
    // Room for as much as takes long enough to be seen.
    artifacts.fill(KEEP_FREE + 16 * MIB)
    const { id } = await service.dump({ guest: 'live', level: 0, compression: 'zlib' })
    await until('it stands still', async () => (await guest.status()) === 'paused')
    const { failure } = await service.untilState(id, ['failed'])
    expect(failure).toMatchObject({ code: 'NO_SPACE', message: expect.stringContaining('bytes were written since') })
    expect(await guest.status()).toBe('running')
    expect(bench.least()).toBeGreaterThanOrEqual(KEEP_FREE - ONE_WRITE)
    artifacts.clear()
    expect(service.files()).toEqual([])
    await service.untilState((await service.dump({ guest: 'live' })).id, ['succeeded'])
  })
})
