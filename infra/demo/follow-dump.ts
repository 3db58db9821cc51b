import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** What this walk reads of a dump, as GET /v1/dumps/{id} shows it. */
export interface Dump {
  readonly id: string
  readonly state: string
  readonly failure: { code: string; message: string } | null
  readonly progress: { stage: string; done: number; total: number } | null
  readonly links: { self: string; events: string; artifact: string | null; report: string | null }
}

const ENDED = new Set(['succeeded', 'failed', 'cancelled', 'lost'])

/** POST /v1/dumps. Throws with the API's own words. */
export async function postDump(api: string, body: object, signal: AbortSignal): Promise<Dump> {
  const response = await fetch(new URL('/v1/dumps', api), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  })
  return answerOf<Dump>(response)
}

/** Follows the dump's server-sent events until it has ended, and returns it as it is then. */
export async function followDump(
  api: string,
  dump: Dump,
  options: {
    signal: AbortSignal
    onState: (state: string) => void
    onProgress: (stage: string, done: number, total: number) => void
  },
): Promise<Dump> {
  const response = await fetch(new URL(dump.links.events, api), { signal: options.signal })
  if (!response.ok || !response.body) throw new Error(`events of the dump: HTTP ${response.status}`)
  for await (const { event, data } of serverSentEvents(response.body)) {
    if (event === 'progress') {
      const { progress } = data as { progress: NonNullable<Dump['progress']> }
      options.onProgress(progress.stage, progress.done, progress.total)
    } else if (event === 'state') {
      const now = data as Dump
      options.onState(now.state)
      if (ENDED.has(now.state)) return now
    }
  }
  return getJson<Dump>(api, dump.links.self, options.signal)
}

export async function getJson<T>(api: string, path: string, signal: AbortSignal): Promise<T> {
  return answerOf<T>(await fetch(new URL(path, api), { signal }))
}

export async function download(api: string, path: string, to: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(new URL(path, api), { signal })
  if (!response.ok || !response.body) throw new Error(`download: HTTP ${response.status}`)
  const partial = `${to}.partial`
  try {
    await pipeline(Readable.fromWeb(response.body), createWriteStream(partial))
    await rename(partial, to)
  } finally {
    await rm(partial, { force: true })
  }
}

async function answerOf<T>(response: Response): Promise<T> {
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.url}: HTTP ${response.status}: ${text}`)
  return JSON.parse(text) as T
}

async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<{ event: string; data: unknown }, void, undefined> {
  let text = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
    text += chunk
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n')
      text = text.slice(end + 2)
      const of = (name: string) =>
        lines
          .filter((line) => line.startsWith(`${name}:`))
          .map((line) => line.slice(name.length + 1).trim())
          .join('\n')
      if (of('data') !== '') yield { event: of('event'), data: JSON.parse(of('data')) }
    }
  }
}
