import type { AppControllerRoute, AppViewRoute } from '@bull-board/api/typings/app'
import { dumpQueueName, pagesQueueName, queuePrefix } from '@ullage/dump-job'
import { Queue } from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import type { ZodInstance } from './api-parts.ts'
import { queueBoardPrefix } from './auth/route-access.ts'
import type { RedisClient } from '@ullage/redis-connection'
import type { Fleet } from './fleet.ts'
import { inlineStyleHashes } from './inline-style-hashes.ts'
import { ApiProblem } from './problem.ts'

/** Which hosts there are is asked again after so long, in milliseconds, when somebody looks. */
const HOSTS_STAND_MS = 5_000

/** Of the style in the picture of Redis, which a script of the page puts there. */
const REDIS_PICTURE = "'sha256-r2N1TB/gHbBtBZFKg7ejmq1acVSREzucTAEw6ga4hoU='"

/**
 * The page brings its own scripts and styles, some of them in itself; what it would fetch from elsewhere, it does without.
 * `page` is undefined for what is no page.
 */
const contentSecurity = (page: string | undefined) =>
  [
    "default-src 'none'",
    "script-src 'self'",
    ["style-src 'self'", ...(page === undefined ? [] : [...inlineStyleHashes(page), REDIS_PICTURE])].join(' '),
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')

export interface QueueBoardOptions {
  readonly redis: RedisClient
  readonly fleet: Fleet
  readonly log: FastifyBaseLogger
}

/** bull-board over the queues of all hosts, which it shows and cannot change. */
export interface QueueBoard extends AsyncDisposable {
  /** Adds its routes, all of them below `queueBoardPrefix`. */
  register(app: ZodInstance): Promise<void>
}

/** Loads bull-board, which nothing else does. */
export async function openQueueBoard({ redis, fleet, log }: QueueBoardOptions): Promise<QueueBoard> {
  const [{ createBullBoard }, { BullMQAdapter }, { FastifyAdapter }] = await Promise.all([
    import('@bull-board/api'),
    import('@bull-board/api/bullMQAdapter'),
    import('@bull-board/fastify'),
  ])

  /** Has no route that changes anything, names each with its whole path, and leaves errors to the handler of all routes. */
  class ReadOnlyAdapter extends FastifyAdapter {
    override setStaticPath(path: string, folder: string) {
      return super.setStaticPath(`${queueBoardPrefix}${path}`, folder)
    }
    override setEntryRoute(entry: AppViewRoute) {
      const route = [entry.route].flat().map((path) => `${queueBoardPrefix}${path}`)
      return super.setEntryRoute({ ...entry, route: [queueBoardPrefix, ...route] })
    }
    override setApiRoutes(routes: AppControllerRoute[]) {
      const reading = routes.filter(({ method }) => [method].flat().every((each) => each === 'get'))
      return super.setApiRoutes(
        reading.map((each) => ({ ...each, route: [each.route].flat().map((path) => `${queueBoardPrefix}${path}`) })),
      )
    }
    override setErrorHandler() {
      return super.setErrorHandler((error) => {
        // Its handlers do nothing but ask Redis.
        throw 'statusCode' in error || error instanceof ApiProblem ? error : unreachable(error)
      })
    }
  }

  const adapter = new ReadOnlyAdapter().setBasePath(queueBoardPrefix)
  const board = createBullBoard({
    queues: [],
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Ullage' } },
  })
  const queues = new Map<string, Queue>()
  const queueOf = (name: string) => {
    const known = queues.get(name)
    if (known) return known
    const queue = new Queue(name, { connection: redis, prefix: queuePrefix, skipMetasUpdate: true })
    queue.on('error', (error) => log.debug({ reason: error.message }, 'queue'))
    queues.set(name, queue)
    return queue
  }

  const show = async () => {
    const hosts = await fleet.hosts()
    const shown = hosts.flatMap(({ host }) => [
      { name: dumpQueueName(host), description: `dumps of host ${host}` },
      { name: pagesQueueName(host), description: `questions about pages of guests of host ${host}` },
    ])
    board.replaceQueues(
      shown.map(({ name, description }) => new BullMQAdapter(queueOf(name), { readOnlyMode: true, description })),
    )
    const names = new Set(shown.map(({ name }) => name))
    for (const [name, queue] of queues) {
      if (names.has(name)) continue
      queues.delete(name)
      queue.close().catch((error: unknown) => log.debug({ reason: String(error) }, 'queue'))
    }
  }
  let looking: Promise<void> | undefined
  let lookAgainMs = 0
  const refresh = async () => {
    if (redis.status !== 'ready') throw unreachable()
    if (performance.now() < lookAgainMs) return
    looking ??= show().finally(() => {
      looking = undefined
    })
    await looking
    lookAgainMs = performance.now() + HOSTS_STAND_MS
  }

  return {
    async register(app) {
      await app.register(async (scope) => {
        scope.addHook('preHandler', async ({ routeOptions }) => {
          if (routeOptions.url?.startsWith(`${queueBoardPrefix}/api/`)) await refresh()
        })
        scope.addHook('onSend', async (_request, reply, payload) => {
          if (reply.statusCode >= 400) return
          const isPage = String(reply.getHeader('content-type')).startsWith('text/html')
          const policy = contentSecurity(isPage && typeof payload === 'string' ? payload : undefined)
          reply.headers({ 'content-security-policy': policy, 'cache-control': 'no-store' })
        })
        await scope.register(adapter.registerPlugin())
      })
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()))
    },
  }
}

function unreachable(cause?: unknown): ApiProblem {
  return new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time', { cause })
}
