export { type OpenSpan, openTraces, type OpenTracesOptions, type SpanAttributes, type Traces } from './traces.ts'
export { tracesEndpoint } from './traces-endpoint.ts'
