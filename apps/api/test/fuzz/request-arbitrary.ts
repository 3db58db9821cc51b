import { METHODS } from 'node:http'
import fc from 'fast-check'
import { z } from 'zod'
import { schemaArbitrary } from './schema-arbitrary.ts'

/** What the fuzz reads of an OpenAPI document. */
const document = z.looseObject({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        parameters: z.array(z.looseObject({ name: z.string(), in: z.string(), schema: z.unknown() })).default([]),
        requestBody: z
          .looseObject({ content: z.record(z.string(), z.looseObject({ schema: z.unknown() })) })
          .optional(),
      }),
    ),
  ),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
})
type Operation = z.infer<typeof document>['paths'][string][string]

export interface FuzzRequest {
  readonly method: string
  /** Path and query. `{dump}` and `{guest}` stand for ids that there are when it is sent. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  /** Which of the ids, and which of the principals. */
  readonly pick: number
}

/** What Node's client puts into a header without throwing. */
const headerText = fc.string({
  unit: fc
    .integer({ min: 0x20, max: 0xff })
    .filter((code) => code !== 0x7f)
    .map((code) => String.fromCharCode(code)),
  maxLength: 60,
})
/** What Node's client puts into an address without throwing. */
const pathText = fc.string({
  unit: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('%', '%00', '%2F', '%2e%2e', '..', '/', '//', '%zz', '%ff', '?', '#', ':', '*'),
    },
  ),
  maxLength: 30,
})
const long = fc.integer({ min: 100, max: 12_000 }).map((length) => 'a'.repeat(length))

/** Requests of all kinds to what an OpenAPI document describes: most of them nearly right, some of them nothing like it. */
export function requestArbitrary(openapi: unknown): fc.Arbitrary<FuzzRequest> {
  const { paths, components } = document.parse(openapi)
  const known = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const described = fc.constantFrom(...known).chain(({ path, method, operation }) =>
    fc.record({
      method: mostly(fc.constant(method), anyMethod),
      path: fc.tuple(pathOf(path), queryOf(operation, components.schemas)).map((parts) => parts.join('')),
      headers: headersOf(operation, components.schemas),
      body: bodyOf(operation, components.schemas),
      pick: fc.nat(),
    }),
  )
  const arbitrary = fc.record({
    method: anyMethod,
    path: pathText.map((text) => `/${text}`),
    headers: fc.dictionary(fc.stringMatching(/^[a-z][a-z-]{0,20}$/).filter(isHarmless), headerText, { maxKeys: 5 }),
    body: fc.option(anyBody, { nil: undefined }),
    pick: fc.nat(),
  })
  return fc.oneof({ weight: 9, arbitrary: described }, { weight: 1, arbitrary })
}

/** CONNECT is no request for a resource. */
const anyMethod = fc.constantFrom(...METHODS.filter((method) => method !== 'CONNECT'))
const anyBody = fc.oneof(
  fc.string(),
  fc.json(),
  fc.constantFrom('{', '[]', 'null', '""', '{"__proto__":{}}'),
  veryLong(),
)

function veryLong(): fc.Arbitrary<string> {
  return fc.integer({ min: 60_000, max: 70_000 }).map((length) => JSON.stringify({ guest: 'a'.repeat(length) }))
}

/** Headers that say how the message itself is to be read: Node's client keeps those. */
function isHarmless(name: string): boolean {
  return ![
    'connection',
    'content-length',
    'expect',
    'host',
    'transfer-encoding',
    'trailer',
    'upgrade',
    'keep-alive',
  ].includes(name)
}

function mostly<T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 7, arbitrary: usual }, { weight: 1, arbitrary: odd })
}

function pathOf(template: string): fc.Arbitrary<string> {
  const id = { guests: '{guest}', hosts: 'host-of-both' }[template.split('/')[2] ?? ''] ?? '{dump}'
  const value = mostly(fc.constant(id), fc.oneof(fc.uuid(), pathText, long, fc.string().map(encodeURIComponent)))
  return value.map((text) => template.replace('{id}', text))
}

function queryOf(operation: Operation, components: Readonly<Record<string, unknown>>): fc.Arbitrary<string> {
  const named = operation.parameters
    .filter((parameter) => parameter.in === 'query')
    .map(({ name, schema }) => {
      const value = mostly(schemaArbitrary(schema, components).map(String), fc.oneof(fc.string(), long))
      return value.map((text) => `${name}=${encodeURIComponent(text)}`)
    })
  const odd = pathText.map((text) => text.replaceAll('#', ''))
  const one = named.length > 0 ? mostly(fc.oneof(...named), odd) : odd
  return mostly(
    fc.array(named.length > 0 ? fc.oneof(...named) : fc.constant(''), { maxLength: 2 }),
    fc.array(one, { maxLength: 6 }),
  ).map((parts) => (parts.some(Boolean) ? `?${parts.filter(Boolean).join('&')}` : ''))
}

function headersOf(
  operation: Operation,
  components: Readonly<Record<string, unknown>>,
): fc.Arbitrary<Record<string, string>> {
  const named = Object.fromEntries(
    operation.parameters
      .filter((parameter) => parameter.in === 'header')
      .map(({ name, schema }) => [name, mostly(schemaArbitrary(schema, components).map(toHeader), headerText)]),
  )
  const range = fc.tuple(fc.option(fc.nat(20)), fc.option(fc.nat(20))).map(([a, b]) => `bytes=${a ?? ''}-${b ?? ''}`)
  return fc.record(
    {
      ...named,
      'content-type': mostly(
        fc.constant('application/json'),
        fc.oneof(fc.constantFrom('text/plain', 'application/xml'), headerText),
      ),
      accept: fc.oneof(fc.constantFrom('*/*', 'application/json', 'image/png'), headerText),
      range: mostly(range, headerText),
      'if-none-match': fc.oneof(fc.constant('*'), headerText),
      'last-event-id': fc.oneof(fc.nat(9).map(String), headerText),
      'idempotency-key': mostly(fc.nat(50).map(String), headerText),
      'accept-encoding': fc.constantFrom('gzip', 'br', 'identity;q=0'),
      'x-forwarded-for': headerText,
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Record<string, string>>
}

function toHeader(value: unknown): string {
  return String(value).replaceAll(/[^\x20-\x7e]/g, '?')
}

function bodyOf(operation: Operation, components: Readonly<Record<string, unknown>>): fc.Arbitrary<string | undefined> {
  const [content] = Object.values(operation.requestBody?.content ?? {})
  if (!content) return mostly<string | undefined>(fc.constant(undefined), anyBody)
  const fitting = schemaArbitrary(content.schema, components)
  const guest = fc.oneof({ weight: 3, arbitrary: fc.constant('{guest}') }, { weight: 1, arbitrary: fc.string() })
  const right = fc.tuple(fitting, guest).map(([body, guest]) => ({ ...(body as object), guest }))
  const nearly = fc
    .tuple(right, fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }))
    .map((parts) => Object.assign({}, ...parts))
  return fc.oneof(
    { weight: 6, arbitrary: right.map((body) => JSON.stringify(body)) },
    { weight: 2, arbitrary: fc.oneof(nearly, fitting).map((body) => JSON.stringify(body)) },
    { weight: 1, arbitrary: anyBody },
  )
}
