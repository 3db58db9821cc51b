import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { makeFolderSync } from '@ullage/dump-job'
import { ServeError } from './serve-error.ts'
import { lockDataFolder } from './serve-lock.ts'
import { ServeProcess } from './serve-process.ts'

/** Longest path that a unix socket can have on Linux, in bytes (sockaddr_un.sun_path, with its zero). */
const SOCKET_PATH_BYTES = 107
/** How long each process may take to end, in milliseconds. The worker may have to let go of a guest. */
const STOP_WITHIN_MS = { worker: 40_000, api: 15_000, redis: 15_000 }

export interface ServeOptions {
  /** Folder of guest descriptors: `web-1.json` describes the guest `web-1`. Made when missing. */
  readonly guestsDir: string
  /** Folder for everything that serves keeps: dumps, journal, queue, logs. Made when missing. */
  readonly dataDir: string
  /** Folder for locks and records of paused guests; inside `dataDir` when left out. */
  readonly stateDir?: string
  /** `HOST:PORT` or `unix:/path`; port 0 takes a free one. */
  readonly listen: string
  /** Ends everything when aborted: `serve` then resolves. */
  readonly signal: AbortSignal
  /** Told once when requests are answered. */
  readonly onReady?: (ready: ServeReady) => void
}

export interface ServeReady {
  /** Where the API is. */
  readonly url: string
  readonly guestsDir: string
  readonly artifactsDir: string
  readonly logsDir: string
}

/**
 * Runs the API, a worker and a private Redis on this host until `signal` is aborted. They are processes of their own; none
 * outlives this one, however it ends. Throws ServeError; everything is ended then.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const { signal } = options
  const guestsDir = resolve(options.guestsDir)
  const dataDir = resolve(options.dataDir)
  const logsDir = join(dataDir, 'logs')
  const artifactsDir = join(dataDir, 'artifacts')
  const redisDir = join(dataDir, 'redis')
  const socket = join(redisDir, 'redis.sock')
  if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES) {
    const most = SOCKET_PATH_BYTES - Buffer.byteLength('/redis/redis.sock')
    throw new ServeError('INVALID', `expected a data folder with a path of at most ${most} bytes, found ${dataDir}`)
  }
  makeFolders([guestsDir, logsDir, artifactsDir, redisDir])
  signal.throwIfAborted()

  const lock = await lockDataFolder(dataDir, signal)
  const started: { process: ServeProcess; withinMs: number }[] = []
  const keep = (process: ServeProcess, withinMs: number) => {
    started.push({ process, withinMs })
    return process
  }
  const common = (name: string, env: Record<string, string> = {}) => ({
    name,
    log: join(logsDir, `${name}.log`),
    env: { ...process.env, ...env },
    lockFd: lock.fd,
  })
  const settings = {
    ULLAGE_REDIS_URL: `unix://${encodeURI(socket)}`,
    // Settings that name another place for artifacts count.
    ...(process.env.ULLAGE_ARTIFACTS === undefined && { ULLAGE_ARTIFACTS_DIR: artifactsDir }),
    ULLAGE_GUESTS_DIR: guestsDir,
    ULLAGE_HOST_ID: process.env.ULLAGE_HOST_ID ?? hostIdOf(hostname()),
  }
  try {
    const redis = keep(ServeProcess.spawn(redisCommand(redisDir, socket), common('redis')), STOP_WITHIN_MS.redis)
    const apiEnv = { ...settings, ULLAGE_STATE_DIR: join(dataDir, 'api'), ULLAGE_API_LISTEN: options.listen }
    const api = keep(ServeProcess.fork(mainOf('@ullage/api/main'), common('api', apiEnv)), STOP_WITHIN_MS.api)
    const workerEnv = {
      ...settings,
      // One host and nobody else: short waits, when it ends and when it starts again after it was killed.
      ULLAGE_LOCK_SECONDS: process.env.ULLAGE_LOCK_SECONDS ?? '10',
      ULLAGE_SHUTDOWN_SECONDS: process.env.ULLAGE_SHUTDOWN_SECONDS ?? '2',
      ULLAGE_STATE_DIR: resolve(options.stateDir ?? join(dataDir, 'worker')),
    }
    const worker = keep(
      ServeProcess.fork(mainOf('@ullage/worker/main'), common('worker', workerEnv)),
      STOP_WITHIN_MS.worker,
    )
    const failed = Promise.race([redis.ended, api.ended, worker.ended]).then((error) => {
      if (!signal.aborted) throw error
    })
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    const all = [api.firstMessage(listeningAt), api.firstMessage(isReady), worker.firstMessage(isReady)] as const
    const ready = Promise.all(all).then(([url]) => {
      if (!signal.aborted) options.onReady?.({ url, guestsDir, artifactsDir, logsDir })
      return stopped
    })
    await Promise.race([failed, stopped, ready])
  } finally {
    // The worker first: putting its jobs back needs the queue.
    for (const { process, withinMs } of started.reverse()) await process.stop(withinMs)
    await lock.close()
  }
}

function redisCommand(folder: string, socket: string): string[] {
  const options = { port: '0', unixsocket: socket, unixsocketperm: '700', dir: folder, appendonly: 'yes', save: '' }
  const rest = { 'maxmemory-policy': 'noeviction', daemonize: 'no', 'protected-mode': 'yes' }
  return ['redis-server', ...Object.entries({ ...options, ...rest }).flatMap(([name, value]) => [`--${name}`, value])]
}

function makeFolders(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      makeFolderSync(folder, 0o750)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new ServeError('INVALID', `the folder ${folder} cannot be made: ${reason}`, { cause: error })
    }
  }
}

function mainOf(specifier: string): string {
  return import.meta.resolve(specifier)
}

/** This host's name as an id: what an id cannot hold becomes a dash. */
function hostIdOf(name: string): string {
  return (
    name
      .replace(/[^A-Za-z0-9.-]/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 63) || 'localhost'
  )
}

function listeningAt(message: unknown): string | undefined {
  const has = typeof message === 'object' && message !== null && 'listening' in message
  return has && typeof message.listening === 'string' ? message.listening : undefined
}

function isReady(message: unknown): true | undefined {
  return typeof message === 'object' && message !== null && 'ready' in message ? true : undefined
}
