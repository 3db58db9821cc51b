import { endProcess } from '@ullage/native/end-process'
import { redisSecretPaths } from '@ullage/redis-connection'
import { type DestinationStream, pino } from 'pino'
import { startWorker, type StartWorkerOptions } from './start-worker.ts'
import { readWorkerConfig, WorkerConfigError } from './worker-config.ts'

/** What closing may take beyond the time that running dumps are given, in milliseconds. */
const CLOSE_WITHIN_MS = 15_000

/**
 * The worker as a process: settings from `process.env`, logs as JSON lines on stdout, SIGTERM and SIGINT end it in order
 * within a deadline. A parent that started it with a channel is told when it is ready, and its end ends the worker at
 * once. Exits with 2 when a setting is wrong, with 1 after an error nobody caught, whatever hangs.
 */
export async function runWorker(
  parts: Omit<StartWorkerOptions, 'config' | 'log' | 'onConsuming'>,
  stdout?: DestinationStream,
): Promise<void> {
  const config = readConfigOrExit()
  const log = pino(
    { level: config.logLevel, base: { app: 'worker', host: config.host }, redact: [...redisSecretPaths] },
    stdout,
  )
  const fail = (what: string) => (error: unknown) => {
    log.fatal({ err: error }, what)
    log.flush(() => endProcess(1))
  }
  process.on('uncaughtException', fail('an error nobody caught'))
  process.on('unhandledRejection', fail('a rejection nobody handled'))

  let takesJobs = false
  const onConsuming = () => {
    takesJobs = true
  }
  const started = startWorker({ ...parts, config, log, onConsuming })
  const stop = (reason: string) => () => {
    log.info({ reason }, 'worker ends')
    // There is nothing to put back.
    if (!takesJobs) endProcess(0)
    setTimeout(() => {
      log.fatal('the worker did not end in time')
      endProcess(1)
    }, config.shutdownMs + CLOSE_WITHIN_MS).unref()
    started
      .then((worker) => worker.close())
      .then(() => endProcess(0))
      .catch(fail('the worker did not end in order'))
  }
  process.once('SIGTERM', stop('SIGTERM'))
  process.once('SIGINT', stop('SIGINT'))
  // Whoever started it is gone, and so may Redis be: the dumps end with this process, their guests run again.
  if (process.connected) process.once('disconnect', () => endProcess(1))
  try {
    await started
    process.send?.({ ready: true })
  } catch (error) {
    if (!(error instanceof WorkerConfigError)) throw error
    exitForSettings(error)
  }
}

function readConfigOrExit() {
  try {
    return readWorkerConfig(process.env)
  } catch (error) {
    if (!(error instanceof WorkerConfigError)) throw error
    return exitForSettings(error)
  }
}

function exitForSettings(error: WorkerConfigError): never {
  process.stderr.write(`${error.message}\n`)
  process.exit(2)
}
