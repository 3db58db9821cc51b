import { removeStaleSocket } from '@ullage/dump-job'
import { createServer, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { Registry } from 'prom-client'
import type { ConsumptionVerdict } from './judge-consumption.ts'
import type { WatchAddress } from './watch-address.ts'
import { WorkerConfigError } from './worker-config.ts'

export interface ServeWatchOptions {
  readonly listen: WatchAddress
  readonly registry: Registry
  readonly verdict: () => ConsumptionVerdict
}

/**
 * Serves `/metrics`, `/healthz` and `/readyz` of a worker, and nothing else. `/healthz` is 503 when a new start is what
 * helps; a worker whose event loop is stuck answers nothing, which a probe takes for the same. Throws WorkerConfigError
 * when the address cannot be listened at.
 */
export async function serveWatch({
  listen,
  registry,
  verdict,
}: ServeWatchOptions): Promise<AsyncDisposable & { url: string }> {
  const answers: Record<string, (response: ServerResponse) => Promise<void>> = {
    '/metrics': async (response) => {
      const text = await registry.metrics()
      response.writeHead(200, { 'content-type': registry.contentType }).end(text)
    },
    '/healthz': async (response) => {
      const { alive, reason } = verdict()
      sendJson(response, alive ? 200 : 503, { ok: alive, reason: alive ? 'ok' : reason })
    },
    '/readyz': async (response) => {
      const { ready, reason } = verdict()
      sendJson(response, ready ? 200 : 503, { ready, reason })
    },
  }
  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 8_192 }, (request, response) => {
    const answer = answers[new URL(request.url ?? '/', 'http://worker').pathname]
    if (!answer) return sendJson(response, 404, { paths: Object.keys(answers) })
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return sendJson(response, 405, { methods: ['GET', 'HEAD'] })
    answer(response).catch(() => response.destroy())
  })
  try {
    if ('path' in listen) await removeStaleSocket(listen.path)
    server.listen(listen)
    await once(server, 'listening')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new WorkerConfigError(`ULLAGE_WORKER_LISTEN: cannot listen there: ${reason}`, { cause: error })
  }
  // It holds no process up that has nothing else to do.
  server.unref()
  const address = server.address()
  const url = 'path' in listen ? `unix:${listen.path}` : `http://${at(listen.host)}:${portOf(address)}`
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function at(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  return typeof address === 'object' && address ? address.port : 0
}
