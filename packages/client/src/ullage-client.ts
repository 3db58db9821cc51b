import createFetchClient, { type Client } from 'openapi-fetch'
import type { components, paths } from './api-types.ts'
import { ClientProblem, problemOf } from './client-problem.ts'
import { type Download, downloadArtifact, type DownloadOptions } from './download-artifact.ts'
import { type DumpEvent, followDump, type FollowOptions } from './follow-dump.ts'
import { pause } from './pause.ts'

type Schemas = components['schemas']
export type Dump = Schemas['Dump']
export type DumpReport = Schemas['DumpReport']
export type Guest = Schemas['Guest']
export type GuestPages = Schemas['GuestPages']
export type Host = Schemas['Host']
export type DumpRequest = paths['/v1/dumps']['post']['requestBody']['content']['application/json']
export type DumpQuery = NonNullable<paths['/v1/dumps']['get']['parameters']['query']>
export type GuestQuery = NonNullable<paths['/v1/guests']['get']['parameters']['query']>
export type HostQuery = NonNullable<paths['/v1/hosts']['get']['parameters']['query']>

export interface UllageClientOptions {
  /** Where the API is, such as `https://ullage.example`. */
  readonly url: string
  /** Sent as `Authorization: Bearer`; a function is asked before each request. */
  readonly token?: string | (() => string | Promise<string>)
  /** Another fetch than the global one. */
  readonly fetch?: typeof globalThis.fetch
}

export interface CreateOptions {
  readonly signal?: AbortSignal
  /** New for each dump that is wanted; made here when it is left out. */
  readonly idempotencyKey?: string
  /** How often it is sent in all while nobody answers, or the queue or the host does not. */
  readonly attempts?: number
  /** Milliseconds before the second attempt; they double from there. */
  readonly retryMs?: number
}

interface SignalOption {
  readonly signal?: AbortSignal
}

/** An answer of openapi-fetch. */
interface Answer<Data> {
  readonly data?: Data
  readonly error?: unknown
  readonly response: Response
}

/**
 * The API of Ullage. Every call throws ClientProblem when the API refuses, and what fetch throws when nobody answers.
 * `raw` has every route as the OpenAPI document types it.
 */
export class UllageClient {
  readonly raw: Client<paths>
  readonly #url: string
  readonly #fetch: typeof globalThis.fetch
  readonly #token: UllageClientOptions['token']

  constructor({ url, token, fetch = globalThis.fetch }: UllageClientOptions) {
    this.#url = url.replace(/\/+$/, '')
    this.#token = token
    this.#fetch = (input, init) => fetch(input, init)
    this.raw = createFetchClient<paths>({ baseUrl: this.#url, fetch: (request) => this.#fetch(request) })
    this.raw.use({
      onRequest: async ({ request }) => {
        for (const [name, value] of Object.entries(await this.#authorization())) request.headers.set(name, value)
        return request
      },
    })
  }

  /** Asks for a dump. However often it has to be sent, one dump is made. */
  async createDump(body: DumpRequest, options: CreateOptions = {}): Promise<Dump> {
    const { signal, idempotencyKey = crypto.randomUUID(), attempts = 4, retryMs = 250 } = options
    for (let attempt = 1; ; attempt += 1) {
      try {
        const headers = { 'idempotency-key': idempotencyKey }
        return await unwrap(this.raw.POST('/v1/dumps', { params: { header: headers }, body, ...signalOf(signal) }))
      } catch (error) {
        const isPassing =
          error instanceof ClientProblem ? [502, 503, 504].includes(error.status) : error instanceof TypeError
        if (!isPassing || attempt >= attempts || signal?.aborted) throw error
        await pause(retryMs * 2 ** (attempt - 1), signal)
      }
    }
  }

  async dump(id: string, { signal }: SignalOption = {}): Promise<Dump> {
    return unwrap(this.raw.GET('/v1/dumps/{id}', { params: { path: { id } }, ...signalOf(signal) }))
  }

  /** Every dump that fits, the latest first, page by page as they are asked for. */
  dumps(query: DumpQuery = {}, { signal }: SignalOption = {}): AsyncGenerator<Dump, void, undefined> {
    return walk(query.cursor, (cursor) =>
      unwrap(this.raw.GET('/v1/dumps', { params: { query: { ...query, ...cursor } }, ...signalOf(signal) })),
    )
  }

  guests(query: GuestQuery = {}, { signal }: SignalOption = {}): AsyncGenerator<Guest, void, undefined> {
    return walk(query.cursor, (cursor) =>
      unwrap(this.raw.GET('/v1/guests', { params: { query: { ...query, ...cursor } }, ...signalOf(signal) })),
    )
  }

  hosts(query: HostQuery = {}, { signal }: SignalOption = {}): AsyncGenerator<Host, void, undefined> {
    return walk(query.cursor, (cursor) =>
      unwrap(this.raw.GET('/v1/hosts', { params: { query: { ...query, ...cursor } }, ...signalOf(signal) })),
    )
  }

  async guest(id: string, { signal }: SignalOption = {}): Promise<Guest> {
    return unwrap(this.raw.GET('/v1/guests/{id}', { params: { path: { id } }, ...signalOf(signal) }))
  }

  async guestPages(id: string, { signal }: SignalOption = {}): Promise<GuestPages> {
    return unwrap(this.raw.GET('/v1/guests/{id}/pages', { params: { path: { id } }, ...signalOf(signal) }))
  }

  async report(id: string, { signal }: SignalOption = {}): Promise<DumpReport> {
    return unwrap(this.raw.GET('/v1/dumps/{id}/report', { params: { path: { id } }, ...signalOf(signal) }))
  }

  /** Cancels a dump that is queued or running, and returns it; removes a finished one, and returns nothing. */
  async deleteDump(id: string, { signal }: SignalOption = {}): Promise<Dump | undefined> {
    const { data, error, response } = await this.raw.DELETE('/v1/dumps/{id}', {
      params: { path: { id } },
      ...signalOf(signal),
    })
    if (!response.ok) throw await problemOf(response, error)
    return response.status === 204 ? undefined : (data as Dump)
  }

  /** What happens to a dump, until it is finished; connections that break off are made again, and nothing is lost. */
  follow(id: string, options: FollowOptions = {}): AsyncGenerator<DumpEvent, void, undefined> {
    return followDump(
      (headers, signal) => this.#get(`/v1/dumps/${encodeURIComponent(id)}/events`, headers, signal),
      options,
    )
  }

  /** The dump once it is finished, however it ended. */
  async finished(id: string, options: FollowOptions = {}): Promise<Dump> {
    for await (const { event, data } of this.follow(id, options)) {
      if (event === 'state' && data.finishedAt !== null) return data
    }
    return this.dump(id, options)
  }

  /** The artifact as a stream that checks itself, over as many connections as it takes. */
  async download(id: string, options: DownloadOptions = {}): Promise<Download> {
    const path = `/v1/dumps/${encodeURIComponent(id)}/artifact`
    return downloadArtifact((headers, signal) => this.#get(path, headers, signal), options)
  }

  async #get(path: string, headers: Record<string, string>, signal: AbortSignal | undefined): Promise<Response> {
    const all = { ...headers, ...(await this.#authorization()) }
    return this.#fetch(`${this.#url}${path}`, { headers: all, ...signalOf(signal) })
  }

  async #authorization(): Promise<Record<string, string>> {
    const token = typeof this.#token === 'function' ? await this.#token() : this.#token
    return token === undefined ? {} : { authorization: `Bearer ${token}` }
  }
}

function signalOf(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {}
}

async function unwrap<Data>(answer: Promise<Answer<Data>>): Promise<Data> {
  const { data, error, response } = await answer
  if (!response.ok || data === undefined) throw await problemOf(response, error)
  return data
}

/** Every item of a list that comes in pages. */
async function* walk<Item>(
  first: string | undefined,
  ask: (cursor: { cursor?: string }) => Promise<{ items: Item[]; next: string | null }>,
): AsyncGenerator<Item, void, undefined> {
  for (let cursor = first; ; ) {
    const { items, next } = await ask(cursor === undefined ? {} : { cursor })
    yield* items
    if (next === null) return
    cursor = next
  }
}
