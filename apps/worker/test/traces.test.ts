import { once } from 'node:events'
import { expect, test } from 'vitest'
import { type Running, Service, until } from './start-service.ts'
import { type ReceivedSpan, startCollector } from './trace-collector.ts'

/** One dump's trace through a real API, worker and dump process; and what a collector cannot do to them. */
const DOUBLE = new URL('./double-worker.ts', import.meta.url)
const CLIENTS = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }

/** Says on stderr which modules of OpenTelemetry its process loads. */
const TELL_LOADED = `data:text/javascript,${encodeURIComponent(`
  process.getBuiltinModule('node:module').registerHooks({
    load(url, context, next) {
      const name = url.split('/node_modules/@opentelemetry/')[1]
      if (name) process.stderr.write('LOADED ' + name.split('/')[0] + String.fromCharCode(10))
      return next(url, context)
    },
  })`)}`
const loadedBy = (running: Running) => new Set([...running.log().matchAll(/^LOADED (.*)$/gm)].map(([, name]) => name))

async function post(service: Service, guest: string, headers: Record<string, string> = {}) {
  const answer = await service.request('/v1/dumps', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ guest }),
  })
  expect(answer.status).toBe(202)
  const { id } = (await answer.json()) as { id: string }
  return id
}

const ended = async (service: Service, id: string) =>
  until('the dump has ended', async () => (await service.show(id)).finishedAt !== null)

test('a dump is one trace: the request, its attempt on the host, and the phases of it', async () => {
  await using collector = await startCollector()
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=k-7',
    NODE_OPTIONS: `--import ${TELL_LOADED}`,
  }
  await using service = await Service.start({ env })
  service.describe('ok', {
    backend: 'test-double',
    tenant: 'acme',
    attempts: ['succeed'],
    counter: `${service.folder}/ok.attempts`,
  })
  service.describeDouble('old', 'unsupported')
  const worker = await service.startWorker({ main: DOUBLE })
  for (const running of [service.api, worker]) expect(loadedBy(running)).toContain('sdk-trace')

  const id = await post(service, 'ok', { traceparent: `00-${CLIENTS.trace}-${CLIENTS.span}-01` })
  const failing = await post(service, 'old', { traceparent: 'not one' })
  await ended(service, id)
  await ended(service, failing)
  const of = (dump: string) => {
    const request = collector.spans.find(({ name, attributes }) => {
      return name === 'POST /v1/dumps' && attributes['ullage.dump'] === dump
    })
    const attempt = collector.spans.find(
      ({ name, attributes }) => name === 'dump' && attributes['ullage.dump'] === dump,
    )
    return { request, attempt }
  }
  await until('all spans came', () => [of(id), of(failing)].every(({ request, attempt }) => request && attempt))

  const { request, attempt } = of(id) as { request: ReceivedSpan; attempt: ReceivedSpan }
  expect(request).toMatchObject({ service: 'ullage-api', traceId: CLIENTS.trace, parentSpanId: CLIENTS.span, kind: 2 })
  expect(request.attributes).toMatchObject({
    'http.route': '/v1/dumps',
    'http.response.status_code': 202,
    'ullage.guest': 'ok',
    'ullage.host': 'h1',
    'ullage.tenant': 'acme',
    'ullage.outcome': 'succeeded',
  })
  expect(attempt).toMatchObject({ service: 'ullage-worker', traceId: CLIENTS.trace, parentSpanId: request.spanId })
  expect(attempt.attributes).toMatchObject({
    'ullage.guest': 'ok',
    'ullage.host': 'h1',
    'ullage.tenant': 'acme',
    'ullage.attempt': 1,
    'ullage.outcome': 'succeeded',
    'ullage.artifact.bytes': 21,
  })
  const phases = collector.spans.filter(({ parentSpanId }) => parentSpanId === attempt.spanId)
  expect(phases.map(({ name }) => name).sort()).toEqual(['classify', 'store', 'verify', 'write'])
  expect(new Set(phases.map(({ traceId }) => traceId))).toEqual(new Set([CLIENTS.trace]))
  // What the double's report says it took.
  const lengths = Object.fromEntries(
    phases.map(({ name, startTimeUnixNano, endTimeUnixNano }) => [
      name,
      Math.round((endTimeUnixNano - startTimeUnixNano) / 1e6),
    ]),
  )
  expect(lengths).toMatchObject({ classify: 1, write: 2, verify: 3 })
  for (const { startTimeUnixNano, endTimeUnixNano } of phases) {
    expect(startTimeUnixNano).toBeGreaterThanOrEqual(attempt.startTimeUnixNano)
    // The clock of spans and that of dates differ by less than a millisecond.
    expect(endTimeUnixNano).toBeLessThanOrEqual(attempt.endTimeUnixNano + 2e6)
  }

  const failed = of(failing) as { request: ReceivedSpan; attempt: ReceivedSpan }
  expect(failed.request.traceId).toMatch(/^[0-9a-f]{32}$/)
  expect(failed.request.parentSpanId ?? '').toBe('')
  expect(failed.attempt).toMatchObject({ traceId: failed.request.traceId, parentSpanId: failed.request.spanId })
  expect(failed.attempt.attributes).toMatchObject({ 'ullage.outcome': 'failed', 'ullage.code': 'UNSUPPORTED' })
  expect(failed.attempt.status).toEqual({ code: 2, message: 'UNSUPPORTED' })
  // The messages of failures, paths of the host among them, stay there.
  expect(collector.bodies.join('')).not.toContain('too old')
  expect(collector.bodies.join('')).not.toContain(service.folder)

  // What was not sent yet is sent at the end.
  await service.request('/v1/hosts')
  await service.api.kill('SIGTERM')
  expect(collector.spans.filter(({ name }) => name === 'GET /v1/hosts')).toHaveLength(1)
  expect(new Set(collector.requests.map((headers) => headers['x-collector-key']))).toEqual(new Set(['k-7']))
})

test('a collector that never answers delays neither requests, nor dumps, nor the end', async () => {
  await using collector = await startCollector({ hangs: true })
  await using service = await Service.start({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } })
  service.describeDouble('ok', 'succeed')
  const worker = await service.startWorker({ main: DOUBLE })
  await ended(service, await post(service, 'ok'))
  await until('a batch hangs of each', () => collector.requests.length >= 2)
  const began = performance.now()
  await ended(service, await post(service, 'ok'))
  // A batch would hang for 5 s.
  expect(performance.now() - began).toBeLessThan(4_000)
  const ending = performance.now()
  await Promise.all(
    [service.api, worker].map(async ({ process: child, kill }) => {
      const exit = once(child, 'exit')
      await kill('SIGTERM')
      expect((await exit)[0]).toBe(0)
    }),
  )
  expect(performance.now() - ending).toBeLessThan(5_000)
})

test('without a collector nothing of it is loaded', async () => {
  await using service = await Service.start({ env: { NODE_OPTIONS: `--import ${TELL_LOADED}` } })
  service.describeDouble('ok', 'succeed')
  const worker = await service.startWorker({ main: DOUBLE })
  await ended(service, await post(service, 'ok', { traceparent: `00-${CLIENTS.trace}-${CLIENTS.span}-01` }))
  // prom-client asks for the interface by itself, whether it is used or not.
  for (const running of [service.api, worker]) expect([...loadedBy(running)]).toEqual(['api'])
})
