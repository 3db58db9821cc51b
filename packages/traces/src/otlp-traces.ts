import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { traceparent } from '@ullage/dump-job'
import type { OpenSpan, OpenTracesOptions, SpanAttributes, Traces } from './traces.ts'

/** A batch is sent this long after its first span, and given up after so long, in milliseconds. */
const SEND_AFTER_MS = 1_000
const SEND_WITHIN_MS = 5_000
/** Spans that wait for a collector that is away; further ones are dropped. */
const MOST_WAITING = 2_048
/** What sending the rest may take at the end, in milliseconds. */
const END_WITHIN_MS = 2_000
/** Of what a client or a descriptor names, so many characters are sent. */
const MOST_CHARACTERS = 200

export async function openOtlpTraces({ endpoint, service, log }: OpenTracesOptions): Promise<Traces> {
  // Each by a dynamic import of its own: a bundle would load what is imported otherwise at every start.
  const [api, sdk, resources, otlp] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-http'),
  ])
  const exporter = new otlp.OTLPTraceExporter({ url: endpoint, timeoutMillis: SEND_WITHIN_MS })
  const provider = new sdk.TracerProvider({
    resource: resources.resourceFromAttributes({ 'service.name': service }),
    spanLimits: { attributeValueLengthLimit: MOST_CHARACTERS },
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: sayOnce(exporter, log),
        scheduledDelayMillis: SEND_AFTER_MS,
        exportTimeoutMillis: SEND_WITHIN_MS,
        maxQueueSize: MOST_WAITING,
      }),
    ],
  })
  const tracer = provider.getTracer('ullage')
  return {
    begin(name, { kind, parent, attributes = {} }) {
      const span = tracer.startSpan(
        name,
        { kind: kind === 'server' ? api.SpanKind.SERVER : api.SpanKind.CONSUMER, attributes: known(attributes) },
        contextOf(api, parent),
      )
      return openSpan(api, tracer, span)
    },
    async [Symbol.asyncDispose]() {
      const ended = provider.shutdown().catch((error: unknown) => log.warn({ reason: String(error) }, NOT_SENT))
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, END_WITHIN_MS)
      await Promise.race([ended, late])
      clearTimeout(timer)
    },
  }
}

type Api = typeof import('@opentelemetry/api')

function openSpan(api: Api, tracer: Tracer, span: Span): OpenSpan {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return {
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    set: (attributes) => void span.setAttributes(known(attributes)),
    past(name, { startMs, endMs }) {
      const within = api.trace.setSpan(api.ROOT_CONTEXT, span)
      tracer.startSpan(name, { startTime: new Date(startMs) }, within).end(new Date(endMs))
    },
    end(failureCode) {
      if (failureCode !== undefined) span.setStatus({ code: api.SpanStatusCode.ERROR, message: failureCode })
      span.end()
    },
  }
}

/** What is no traceparent is no parent. */
function contextOf(api: Api, parent: string | undefined): Context {
  const [, traceId = '', spanId = '', flags = ''] = traceparent.safeParse(parent).data?.split('-') ?? []
  if (!traceId) return api.ROOT_CONTEXT
  const traceFlags = Number.parseInt(flags, 16)
  return api.trace.setSpanContext(api.ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true })
}

function known(attributes: SpanAttributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}

/** `ExportResultCode.SUCCESS` of OpenTelemetry. */
const SENT = 0

const NOT_SENT = 'traces cannot be sent to the collector; those that do not fit into memory are dropped'

/** One line for a collector that went away, and one when it is back. */
function sayOnce(exporter: SpanExporter, log: OpenTracesOptions['log']): SpanExporter {
  let away = false
  return {
    export(spans: ReadableSpan[], done) {
      exporter.export(spans, (result) => {
        const failed = result.code !== SENT
        if (failed && !away) log.warn({ reason: result.error?.message }, NOT_SENT)
        if (!failed && away) log.info('traces are sent again')
        away = failed
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  }
}
