import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'

const value = z.object({ stringValue: z.string().optional(), intValue: z.union([z.number(), z.string()]).optional() })
const attributes = z
  .array(z.object({ key: z.string(), value }))
  .default([])
  .transform((list) =>
    Object.fromEntries(list.map(({ key, value: { stringValue, intValue } }) => [key, stringValue ?? Number(intValue)])),
  )
const span = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  kind: z.number(),
  startTimeUnixNano: z.coerce.number(),
  endTimeUnixNano: z.coerce.number(),
  attributes,
  status: z.object({ code: z.number().default(0), message: z.string().optional() }),
})
const batch = z.object({
  resourceSpans: z.array(
    z.object({ resource: z.object({ attributes }), scopeSpans: z.array(z.object({ spans: z.array(span) })) }),
  ),
})

/** A span as it was received. */
export type ReceivedSpan = z.infer<typeof span> & { readonly service: unknown }

export interface TraceCollector extends AsyncDisposable {
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
  /** All that came, as text. */
  readonly bodies: readonly string[]
  /** Headers of each request that came. */
  readonly requests: readonly IncomingHttpHeaders[]
}

/** Receives OTLP/HTTP as JSON. One that hangs takes requests and answers none. */
export async function startCollector({ hangs = false } = {}): Promise<TraceCollector> {
  const spans: ReceivedSpan[] = []
  const bodies: string[] = []
  const requests: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    requests.push(request.headers)
    if (hangs) return
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      bodies.push(body)
      const isOurs = request.method === 'POST' && request.url === '/v1/traces'
      if (isOurs) spans.push(...spansOf(body))
      response.writeHead(isOurs ? 200 : 404, { 'content-type': 'application/json' }).end('{}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the collector has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    spans,
    bodies,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function spansOf(body: string): ReceivedSpan[] {
  return batch.parse(JSON.parse(body)).resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = resource.attributes['service.name']
    return scopeSpans.flatMap((scope) => scope.spans.map((found) => ({ ...found, service })))
  })
}
