import type { components } from './api-types.ts'
import { ClientProblem, problemOf } from './client-problem.ts'
import { pause } from './pause.ts'
import { EventParser, type ServerSentEvent } from './server-sent-events.ts'

type Dump = components['schemas']['Dump']

/** A change of a dump, which is then whole, or how far it is. `id` is the dump's revision. */
export type DumpEvent =
  | { readonly event: 'state'; readonly id: string; readonly data: Dump }
  | {
      readonly event: 'progress'
      readonly id: string
      readonly data: { id: string; revision: number; progress: components['schemas']['DumpProgress'] }
    }

export interface FollowOptions {
  readonly signal?: AbortSignal
  /** Id of the last event that was seen, to go on after it. */
  readonly lastEventId?: string
  /** How often in a row a connection may fail before it is given up. */
  readonly failures?: number
  /** A connection that says nothing for so long, in milliseconds, is dead. The API says something every 15 s. */
  readonly silenceMs?: number
}

/** Asks for the events, with these headers. */
type Connect = (headers: Record<string, string>, signal: AbortSignal) => Promise<Response>

const FAILURES = 10
const SILENCE_MS = 60_000
const RETRY_MS = 2_000

const isEnd = ({ event, data }: DumpEvent): boolean =>
  event === 'state' && ['succeeded', 'failed', 'cancelled', 'lost'].includes(data.state)

/**
 * The events of a dump, until it is finished, over as many connections as that takes: each goes on where the last one
 * ended. Throws ClientProblem when the API refuses, and the last error when `failures` connections in a row brought nothing.
 */
export async function* followDump(
  connect: Connect,
  options: FollowOptions,
): AsyncGenerator<DumpEvent, void, undefined> {
  const { signal, failures = FAILURES, silenceMs = SILENCE_MS } = options
  let { lastEventId } = options
  let retryMs = RETRY_MS
  for (let failed = 0; ; failed += 1) {
    try {
      const connection = read(connect, {
        lastEventId,
        signal,
        silenceMs,
        onRetry: (ms) => (retryMs = ms),
        // The API says one every 15 s, and one before it ends a stream whose token has expired: neither is a failure.
        onComment: () => (failed = -1),
      })
      for await (const found of connection) {
        failed = 0
        lastEventId = found.id
        const event = { ...found, data: JSON.parse(found.data) } as DumpEvent
        yield event
        if (isEnd(event)) return
      }
      // The API ends a stream early when it ends itself, has no more to say, or wants another token.
      if (connection.ended()) return
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (error instanceof ClientProblem && error.status < 500) throw error
      if (failed + 1 >= failures) throw error
    }
    if (failed + 1 >= failures)
      throw new Error(`expected events of the dump, found ${failures} connections without any`)
    await pause(retryMs, signal)
  }
}

interface ReadOptions {
  readonly lastEventId: string | undefined
  readonly signal: AbortSignal | undefined
  readonly silenceMs: number
  readonly onRetry: (milliseconds: number) => void
  readonly onComment: () => void
}

/** The events of one connection. `ended` tells afterwards whether the API said that there are no more. */
function read(connect: Connect, options: ReadOptions): AsyncIterable<ServerSentEvent> & { ended(): boolean } {
  let ended = false
  async function* events() {
    const { lastEventId, silenceMs } = options
    const silent = new AbortController()
    const onSilence = () => silent.abort(new Error(`expected a sign of life within ${silenceMs} ms, found none`))
    let timer = setTimeout(onSilence, silenceMs)
    try {
      const signal = options.signal ? AbortSignal.any([options.signal, silent.signal]) : silent.signal
      const response = await connect(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }, signal)
      ended = response.status === 204
      if (ended) return
      if (!response.ok || !response.body) throw await problemOf(response)
      const parser = new EventParser(options.onRetry, options.onComment)
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      try {
        for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
          clearTimeout(timer)
          yield* parser.push(piece.value)
          // Counted from here: how long the caller takes over an event is not the API's silence.
          timer = setTimeout(onSilence, silenceMs)
        }
      } finally {
        await reader.cancel().catch(() => undefined)
      }
    } finally {
      clearTimeout(timer)
    }
  }
  return { [Symbol.asyncIterator]: events, ended: () => ended }
}
