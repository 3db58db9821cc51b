import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DumpProgress, type DumpResource, dumpResource } from '@ullage/dump-job'
import { bootGuest, type LabGuest } from '@ullage/lab'
import { isAlive, type Running, Service, until } from '../start-service.ts'
import type { ArtifactPlace } from './artifact-place.ts'
import { BreakableLink } from './breakable-link.ts'
import { FaultyRedis } from './faulty-redis.ts'
import { FolderPlace } from './folder-place.ts'

/** The worker whose engine is a double: `engine-double-child.ts`. */
const DOUBLE_WORKER = new URL('../double-worker.ts', import.meta.url)

/** The name of the one real guest. */
export const REAL_GUEST = 'web-1'

export interface FaultBenchOptions {
  /** `real` boots one under QEMU, `double` has a double of the engine instead. */
  readonly guests: 'real' | 'double'
  /** Whether Redis keeps what it was told over its own death; true when left out. */
  readonly appendOnly?: boolean
  /** Whether the worker reaches Redis over a link that can be broken. */
  readonly link?: boolean
  /** Where artifacts are kept, with the settings for it; a folder when left out. Whoever gives it disposes of it. */
  readonly place?: ArtifactPlace & { readonly env: Readonly<Record<string, string>> }
  readonly workerMain?: URL
  readonly workerEnv?: Readonly<Record<string, string>>
  readonly apiEnv?: Readonly<Record<string, string>>
}

/** A whole service with real processes, and all it takes to harm it. */
export class FaultBench implements AsyncDisposable {
  readonly service: Service
  readonly redis: FaultyRedis
  readonly link: BreakableLink | undefined
  /** Dumps that were answered with 202 since `begin`. */
  readonly accepted: string[] = []
  readonly place: ArtifactPlace
  readonly #options: FaultBenchOptions
  readonly #workers: Running[] = []
  readonly #folder: FolderPlace
  #guest: LabGuest | undefined
  #doubles = 0
  #backedBytes = 0

  private constructor(
    options: FaultBenchOptions,
    redis: FaultyRedis,
    link: BreakableLink | undefined,
    service: Service,
  ) {
    this.#options = options
    this.redis = redis
    this.link = link
    this.service = service
    this.#folder = new FolderPlace(service.artifactsDir)
    this.place = options.place ?? this.#folder
  }

  static async start(options: FaultBenchOptions): Promise<FaultBench> {
    const redis = await FaultyRedis.start({ appendOnly: options.appendOnly ?? true })
    const link = options.link ? await BreakableLink.to(redis.socketPath) : undefined
    const service = await Service.start({
      redis,
      apiEnv: { ...options.apiEnv },
      ...(options.place && { env: options.place.env }),
    })
    const bench = new FaultBench(options, redis, link, service)
    try {
      if (options.guests === 'real') await bench.bootGuest()
      await bench.startWorker()
      return bench
    } catch (error) {
      await bench[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The real guest; undefined where guests are doubles. */
  get guest(): LabGuest | undefined {
    return this.#guest
  }

  get worker(): Running {
    const worker = this.#workers.at(-1)
    if (!worker) throw new Error('no worker was started')
    return worker
  }

  /** Boots a guest and describes it to the service, instead of the one there was. */
  async bootGuest(): Promise<void> {
    await this.#guest?.[Symbol.asyncDispose]()
    this.#guest = await bootGuest({ era: 'bookworm', memMiB: 192, balloonMiB: 64, fillMiB: 32 })
    this.service.describe(REAL_GUEST, {
      backend: 'virtio-balloon',
      source: { kind: 'qmp', socket: this.#guest.qmpSocket },
    })
    this.#backedBytes = this.backedBytes()
  }

  /** Starts the worker, again. Copies no pages, so that a guest stands still for as long as its dump is written. */
  async startWorker(env: Readonly<Record<string, string>> = {}): Promise<Running> {
    const { guests, workerMain, workerEnv } = this.#options
    const main = workerMain ?? (guests === 'double' ? DOUBLE_WORKER : undefined)
    const worker = await this.service.startWorker({
      ...(main && { main }),
      env: {
        ULLAGE_DUMP_THREADS: '1',
        ULLAGE_DUMP_MEMORY_BYTES: '0',
        ULLAGE_SHUTDOWN_SECONDS: '1',
        ...(this.link && { ULLAGE_REDIS_URL: this.link.url }),
        ...workerEnv,
        ...env,
      },
    })
    this.#workers.push(worker)
    return worker
  }

  /** Something was mounted at the artifacts folder. */
  watchArtifactsAgain(): void {
    this.#folder.watchAgain()
  }

  /** A fault begins: what was accepted before is no part of it. */
  begin(): void {
    this.accepted.length = 0
    this.place.begin()
    this.#backedBytes = this.backedBytes()
  }

  /** A guest of the double, announced, whose attempts end as told. Returns its name. */
  async double(...attempts: string[]): Promise<string> {
    const name = this.describeDouble(...attempts)
    await until(
      `${name} is announced`,
      async () => (await this.service.request(`/v1/guests/${name}`)).status === 200,
      20_000,
    )
    return name
  }

  /** The same, announced as soon as its worker gets to it. */
  describeDouble(...attempts: string[]): string {
    const name = `double-${++this.#doubles}`
    this.service.describeDouble(name, ...attempts)
    return name
  }

  /** Posts a dump that has to be accepted. */
  async dump(body: object): Promise<DumpResource> {
    const dump = await this.service.dump(body)
    this.accepted.push(dump.id)
    return dump
  }

  /** Posts a dump as a client does that is told to try again; throws when it is not accepted in time. */
  async dumpWhenAccepted(body: object, timeoutMs = 45_000): Promise<DumpResource> {
    let dump: DumpResource | undefined
    let refused = ''
    await until(
      () => `a dump is accepted: ${refused}`,
      async () => {
        const answer = await this.service.post(body)
        const text = await answer.text()
        if (answer.status === 202) dump = dumpResource.parse(JSON.parse(text))
        refused = text
        return dump !== undefined
      },
      timeoutMs,
    )
    if (!dump) throw new Error(refused)
    this.accepted.push(dump.id)
    return dump
  }

  /** Asks for a dump of the real guest with much content, slowly compressed. */
  slowDump(options: object = {}): Promise<DumpResource> {
    return this.dump({ guest: REAL_GUEST, level: 0, compression: 'zlib', ...options })
  }

  /** Waits until the process of the dump has started, and returns its id. */
  async dumpProcess(dump: DumpResource): Promise<number> {
    let pid: number | undefined
    await until(
      () => `the dump's process has started: ${this.worker.log().slice(-2_000)}`,
      () => {
        pid = processesIn(this.worker.log(), dump.id).at(-1)
        return pid !== undefined
      },
    )
    return pid ?? 0
  }

  async untilPaused(): Promise<void> {
    await until(
      () => `the guest is paused: ${this.worker.log().slice(-2_000)}`,
      async () => (await this.#guest?.status()) === 'paused',
    )
  }

  async untilStage(dump: DumpResource, stage: DumpProgress['stage']): Promise<void> {
    await until(
      () => `the dump is at ${stage}: ${this.worker.log().slice(-2_000)}`,
      async () => (await this.service.show(dump.id)).progress?.stage === stage,
    )
  }

  /** What files hold the guest's RAM take of the host, in bytes. */
  backedBytes(): number {
    return this.#guest?.backedRanges().reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0) ?? 0
  }

  /** By how much the guest's backing has grown since the fault began, in bytes. */
  grownBytes(): number {
    return this.backedBytes() - this.#backedBytes
  }

  /** How often a worker said that it published this dump. */
  saidPublished(dump: string): number {
    const lines = this.#workers.flatMap((worker) => worker.log().split('\n'))
    return lines.filter((line) => line.includes(dump) && line.includes('"dump published"')).length
  }

  /** One dump by a double that a worker makes, whose attempts end so, and one that waits behind it. */
  async oneRunningOneQueued(...attempts: string[]): Promise<{ running: DumpResource; queued: DumpResource }> {
    const running = await this.dump({ guest: await this.double(...attempts) })
    await this.untilStage(running, 'write')
    const queued = await this.dump({ guest: await this.double('succeed') })
    return { running, queued }
  }

  /** Processes of dumps that are still there, of whichever worker. */
  livingDumpProcesses(): number[] {
    const started = this.#workers.flatMap((worker) => processesIn(worker.log(), ''))
    return started.filter((pid) => isAlive(pid) && isOurs(pid))
  }

  /** Records of paused guests that lie in the state folder. */
  pauseRecords(): string[] {
    return filesIn(this.#stateDir).filter((name) => name.endsWith('.paused.json'))
  }

  /** What waits to be encrypted or uploaded. */
  spooled(): string[] {
    const folder = this.#options.workerEnv?.ULLAGE_SPOOL_DIR ?? join(this.#stateDir, 'spool')
    return filesIn(folder)
  }

  get #stateDir(): string {
    return this.#options.workerEnv?.ULLAGE_STATE_DIR ?? join(this.service.folder, 'state')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]()
    await this.service[Symbol.asyncDispose]()
    await this.link?.[Symbol.asyncDispose]()
    await this.#guest?.[Symbol.asyncDispose]()
  }
}

function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : []
}

function processesIn(log: string, dump: string): number[] {
  return log
    .split('\n')
    .filter((line) => line.includes('dump process started') && line.includes(dump))
    .map((line) => Number(/"pid":(\d+),"msg"|"pid":(\d+)/.exec(line)?.slice(1).find(Boolean)))
}

/** A process id that was given to somebody else meanwhile is no process of a dump. */
function isOurs(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('child')
  } catch {
    return false
  }
}
