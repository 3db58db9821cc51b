import { endProcess } from '@ullage/native/end-process'
import { pino } from 'pino'
import { ApiConfigError, readApiConfig } from './api-config.ts'
import { secretPaths } from './secret-paths.ts'
import { startApi } from './start-api.ts'

/** What closing may take, in milliseconds: downloads that are under way are cut off then. */
const CLOSE_WITHIN_MS = 10_000

/**
 * The API as a process: settings from `process.env`, logs as JSON lines on stdout, SIGTERM and SIGINT end it in order
 * within a deadline, SIGHUP reads the certificate again where there is one. A parent that started it with a channel is told
 * the address it listens at, and when Redis is reached; its end ends the API at once: the
 * journal is whole at any moment. Exits with 2 when a setting is wrong, with 1 after an error nobody caught, whatever hangs.
 */
export async function runApi(): Promise<void> {
  const config = orExit(() => readApiConfig(process.env))
  const log = pino({
    level: config.logLevel,
    base: { app: 'api' },
    redact: secretPaths,
    serializers: { req: toLogged },
  })
  const fail = (what: string) => (error: unknown) => {
    log.fatal({ err: error }, what)
    log.flush(() => endProcess(1))
  }
  process.on('uncaughtException', fail('an error nobody caught'))
  process.on('unhandledRejection', fail('a rejection nobody handled'))

  const started = startApi(config, log)
  const stop = (reason: string) => () => {
    log.info({ reason }, 'api ends')
    setTimeout(() => endProcess(0), CLOSE_WITHIN_MS).unref()
    started
      .then((api) => api.close())
      .then(() => endProcess(0))
      .catch(fail('the api did not end in order'))
  }
  process.once('SIGTERM', stop('SIGTERM'))
  process.once('SIGINT', stop('SIGINT'))
  if (config.tls) process.on('SIGHUP', () => void started.then((api) => api.reload()).catch(() => undefined))
  if (process.connected) process.once('disconnect', () => endProcess(1))
  try {
    const { url, reachesRedis } = await started
    process.send?.({ listening: url })
    if (process.send)
      reachesRedis.then(
        () => process.send?.({ ready: true }),
        () => undefined,
      )
  } catch (error) {
    orExit(() => {
      throw error
    })
  }
}

/** What the log has of a request: not its query, which is nobody's place for a secret and some clients' all the same. */
function toLogged({ method, url = '', ip }: { method: string; url?: string; ip?: string }) {
  return { method, url: url.split('?')[0], remoteAddress: ip }
}

function orExit<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ApiConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(2)
  }
}
