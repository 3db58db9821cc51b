import { openOtlpTraces } from './otlp-traces.ts'

/** What is said of a span. Nothing secret: a collector is somebody else's. */
export type SpanAttributes = Readonly<Record<string, string | number | undefined>>

export interface OpenSpan {
  /** The span as its children name it, in other processes as well. */
  readonly traceparent: string
  /** Adds to what is said of it; what is undefined is left out. */
  set(attributes: SpanAttributes): void
  /** Adds a child that is over. Both times are milliseconds since 1970. */
  past(name: string, time: { readonly startMs: number; readonly endMs: number }): void
  /** Ends it, as failed when there is a code. What is done with it afterwards has no effect. */
  end(failureCode?: string): void
}

/** Spans of this process, which are sent in the background. No call waits, and none throws because of the collector. */
export interface Traces extends AsyncDisposable {
  /** Begins a span. Without a parent it begins a trace; a parent that is not sampled has children that are not sent. */
  begin(
    name: string,
    options: {
      readonly kind: 'server' | 'consumer'
      readonly parent?: string | undefined
      readonly attributes?: SpanAttributes
    },
  ): OpenSpan
  /** Sends what is left, for 2 s at most. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface OpenTracesOptions {
  /** Where spans are sent, by OTLP/HTTP as JSON. */
  readonly endpoint: string
  /** What the process calls itself, such as `ullage-api`. */
  readonly service: string
  /** Is told once that spans cannot be sent, and once that they can be again. */
  readonly log: { warn(context: object, text: string): void; info(text: string): void }
}

/** Loads OpenTelemetry, which nothing else of this package does, and begins to send. */
export function openTraces(options: OpenTracesOptions): Promise<Traces> {
  return openOtlpTraces(options)
}
