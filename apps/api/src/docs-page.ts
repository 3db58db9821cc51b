import { z } from 'zod'

/** What the page needs of an OpenAPI document. */
const operation = z.looseObject({
  summary: z.string().optional(),
  description: z.string().optional(),
  tags: z.array(z.string()).default([]),
  parameters: z
    .array(
      z.looseObject({
        name: z.string(),
        in: z.string(),
        required: z.boolean().optional(),
        description: z.string().optional(),
        schema: z.unknown(),
      }),
    )
    .default([]),
  requestBody: z.looseObject({ content: z.record(z.string(), z.looseObject({ schema: z.unknown() })) }).optional(),
  responses: z.record(z.string(), z.unknown()).default({}),
})
const document = z.looseObject({
  info: z.looseObject({ title: z.string(), version: z.string(), description: z.string().optional() }),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()).default({}) }).optional(),
})

type Operation = z.infer<typeof operation>

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
code, pre { font: 13px/1.45 ui-monospace, monospace } pre { background: #f4f5f7; padding: .7rem; overflow: auto }
summary { cursor: pointer; padding: .35rem 0 } .method { display: inline-block; width: 4.5rem; font-weight: 700 }
details { border-top: 1px solid #d9dde2 } details > :not(summary) { margin-left: 1rem }
td { padding: .15rem .8rem .15rem 0; vertical-align: top }
@media (prefers-color-scheme: dark) { body { background: #14171a; color: #dfe3e8 } pre { background: #1f2429 } }
`

/** An OpenAPI document as one HTML page: every operation, its parameters, body and answers, and every schema. */
export function docsPage(openapi: unknown): string {
  const { info, paths, components } = document.parse(openapi)
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, found]) => ({ path, method: method.toUpperCase(), found })),
  )
  const tags = [...new Set(operations.flatMap(({ found }) => found.tags))]
  const sections = tags.map((tag) => {
    const of = operations.filter(({ found }) => found.tags.includes(tag))
    return `<h2>${escape(tag)}</h2>${of.map(({ path, method, found }) => show(path, method, found)).join('')}`
  })
  const schemas = Object.entries(components?.schemas ?? {})
    .map(
      ([name, schema]) => `<details id="${escape(name)}"><summary>${escape(name)}</summary>${code(schema)}</details>`,
    )
    .join('')
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(info.title)}</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style>
<h1>${escape(info.title)} ${escape(info.version)}</h1><p>${escape(info.description ?? '')}
<p>The same as a document: <a href="/openapi.json">/openapi.json</a>${sections.join('')}<h2>schemas</h2>${schemas}</html>\n`
}

function show(path: string, method: string, found: Operation): string {
  const rows = found.parameters.map(
    ({ name, in: where, required, description, schema }) =>
      `<tr><td><code>${escape(name)}</code><td>${escape(where)}${required ? ', required' : ''}` +
      `<td><code>${escape(JSON.stringify(schema))}</code> ${escape(description ?? '')}`,
  )
  const body = Object.values(found.requestBody?.content ?? {})[0]
  return `<details><summary><span class="method">${escape(method)}</span><code>${escape(path)}</code>
${escape(found.summary ?? '')}</summary><p>${escape(found.description ?? '')}
${rows.length > 0 ? `<table>${rows.join('')}</table>` : ''}${body ? `<p>body ${code(body.schema)}` : ''}
<p>answers ${Object.keys(found.responses).map(escape).join(', ')}</details>`
}

function code(value: unknown): string {
  return `<pre>${escape(JSON.stringify(value, null, 2))}</pre>`
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? character)
}
