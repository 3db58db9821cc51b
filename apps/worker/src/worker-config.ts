import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { readStoreConfig, spoolFolder, StoreConfigError } from '@ullage/artifact-store'
import { hostId, redisAddress, wholeNumberSetting } from '@ullage/dump-job'
import { tracesEndpoint } from '@ullage/traces'
import { z } from 'zod'
import { watchAddress } from './watch-address.ts'

const folder = z
  .string()
  .min(1, 'expected the path of a folder')
  .transform((path) => resolve(path))

/** Little beside any dump's disk, and enough for logs and journals of others that write there to go on until somebody comes. */
const DEFAULT_FREE_BYTES = 1024 ** 3

/** The worker's settings, by the environment variables that hold them. */
const environment = z.object({
  ULLAGE_REDIS_URL: redisAddress,
  ULLAGE_HOST_ID: hostId.prefault(() => hostname()),
  ULLAGE_GUESTS_DIR: folder,
  ULLAGE_STATE_DIR: folder,
  ULLAGE_GUARDIAN_SCOPE: z.enum(['session', 'systemd']).optional(),
  ULLAGE_CONCURRENCY: wholeNumberSetting({ least: 1, most: 64 }).default(1),
  ULLAGE_DUMP_THREADS: wholeNumberSetting({ least: 1, most: 256 }).optional(),
  ULLAGE_DUMP_MEMORY_BYTES: wholeNumberSetting({ least: 0, most: 2 ** 42 }).optional(),
  ULLAGE_FREE_BYTES: wholeNumberSetting({ least: 0, most: 2 ** 50 }).default(DEFAULT_FREE_BYTES),
  ULLAGE_FORGET_HOST_DAYS: wholeNumberSetting({ least: 1, most: 3_650 }).default(30),
  ULLAGE_LOCK_SECONDS: wholeNumberSetting({ least: 2, most: 3_600 }).default(30),
  ULLAGE_SILENCE_SECONDS: wholeNumberSetting({ least: 10, most: 86_400 }).default(600),
  ULLAGE_SHUTDOWN_SECONDS: wholeNumberSetting({ least: 1, most: 86_400 }).default(20),
  ULLAGE_WORKER_LISTEN: watchAddress.optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: tracesEndpoint.optional(),
  ULLAGE_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
})

export type WorkerConfig = ReturnType<typeof readWorkerConfig>

/** Settings that are missing or wrong: the message has a line for each. */
export class WorkerConfigError extends Error {
  override readonly name = 'WorkerConfigError'
}

/** Reads the settings. Throws WorkerConfigError, which names each wrong variable and never repeats its value. */
export function readWorkerConfig(env: Readonly<Record<string, string | undefined>>) {
  const { data, error } = environment.safeParse(env)
  if (!data) {
    const lines = error.issues.map(({ path, message }) => {
      const name = String(path[0])
      if (env[name] !== undefined) return `${name}: ${message}`
      return name === 'ULLAGE_HOST_ID' ? hostnameIsNoId(message) : `${name} is not set; ${message}`
    })
    throw new WorkerConfigError(lines.join('\n'))
  }
  const store = readStore(env)
  return {
    redis: data.ULLAGE_REDIS_URL,
    host: data.ULLAGE_HOST_ID,
    /** Folder of guest descriptors; a guest's id is the name of its file without `.json`. */
    guestsDir: data.ULLAGE_GUESTS_DIR,
    /** Where finished dumps appear. */
    store,
    /** Where dumps wait that are encrypted or uploaded. Emptied at every start: of this worker alone. */
    spoolDir: spoolFolder(store, data.ULLAGE_STATE_DIR),
    /**
     * Where it is settled which worker of a host and which attempt at a dump may publish: beside what is published where
     * that is a folder, so that settings of other workers cannot get around it.
     */
    locksDir: join(store.place.kind === 'folder' ? store.place.folder : data.ULLAGE_STATE_DIR, '.locks'),
    /** Locks, and records of guests that are paused. */
    stateDir: data.ULLAGE_STATE_DIR,
    /** How guardians of paused guests are started; systemd ends all of a service, what it started in sessions included. */
    guardianScope: data.ULLAGE_GUARDIAN_SCOPE ?? (env.INVOCATION_ID === undefined ? 'session' : 'systemd'),
    concurrency: data.ULLAGE_CONCURRENCY,
    /** Compression threads of one dump; undefined leaves it to the engine. */
    threads: data.ULLAGE_DUMP_THREADS,
    /** What pages of one paused guest may take in memory, to be compressed when it runs again; undefined likewise. */
    memoryBytes: data.ULLAGE_DUMP_MEMORY_BYTES,
    /** What dumps leave free on each file system that they are written to. */
    keepFreeBytes: data.ULLAGE_FREE_BYTES,
    /** How long this host and its guests are remembered after the last heartbeat. */
    rememberedMs: data.ULLAGE_FORGET_HOST_DAYS * 24 * 3600 * 1000,
    lockMs: data.ULLAGE_LOCK_SECONDS * 1000,
    /** A dump that says nothing for so long is ended. */
    silenceMs: data.ULLAGE_SILENCE_SECONDS * 1000,
    /** How long running dumps may go on after SIGTERM before they are put back into the queue. */
    shutdownMs: data.ULLAGE_SHUTDOWN_SECONDS * 1000,
    /** Where metrics and health are served; undefined serves neither. */
    listen: data.ULLAGE_WORKER_LISTEN,
    /** Where spans are sent; undefined: there are none. */
    tracesEndpoint: data.OTEL_EXPORTER_OTLP_ENDPOINT,
    logLevel: data.ULLAGE_LOG_LEVEL,
  }
}

/** The host's name is no secret, unlike what a variable may hold by mistake. */
function hostnameIsNoId(expected: string): string {
  return `ULLAGE_HOST_ID is not set, and the host name ${JSON.stringify(hostname())} cannot be used instead; ${expected}: set ULLAGE_HOST_ID`
}

function readStore(env: Readonly<Record<string, string | undefined>>) {
  try {
    return readStoreConfig(env)
  } catch (error) {
    if (error instanceof StoreConfigError) throw new WorkerConfigError(error.message, { cause: error })
    throw error
  }
}
