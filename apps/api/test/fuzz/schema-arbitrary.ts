import fc from 'fast-check'
import { z } from 'zod'

/** What is read of a JSON schema; the rest narrows nothing that a fuzz needs. */
const jsonSchema = z.looseObject({
  $ref: z.string().optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  anyOf: z.array(z.unknown()).optional(),
  type: z.string().optional(),
  pattern: z.string().optional(),
  format: z.string().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  items: z.unknown().optional(),
})

/** Values that fit a JSON schema of an OpenAPI document, or nearly. Throws when the schema has what is not known here. */
export function schemaArbitrary(schema: unknown, components: Readonly<Record<string, unknown>>): fc.Arbitrary<unknown> {
  const found = jsonSchema.parse(schema)
  if (found.$ref) return schemaArbitrary(components[found.$ref.replace('#/components/schemas/', '')], components)
  if (found.const !== undefined) return fc.constant(found.const)
  if (found.enum) return fc.constantFrom(...found.enum)
  if (found.anyOf) return fc.oneof(...found.anyOf.map((each) => schemaArbitrary(each, components)))
  const { minimum: min = -(2 ** 31), maximum: max = 2 ** 31 } = found
  switch (found.type) {
    case 'integer':
      return fc.integer({ min: Math.max(min, -(2 ** 31)), max: Math.min(max, 2 ** 31) })
    case 'number':
      return fc.double({ min, max, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(schemaArbitrary(found.items, components), { maxLength: 4 })
    case 'object': {
      const members = Object.entries(found.properties ?? {}).map(([name, each]) => [
        name,
        schemaArbitrary(each, components),
      ])
      const requiredKeys = found.required ?? []
      return fc.record(Object.fromEntries(members) as Record<string, fc.Arbitrary<unknown>>, { requiredKeys })
    }
    case 'string':
      return textOf(found)
    case undefined:
      return fc.jsonValue()
    default:
      throw new Error(`expected a JSON schema of a type that the fuzz knows, found ${found.type}`)
  }
}

function textOf({ format, pattern }: z.infer<typeof jsonSchema>): fc.Arbitrary<string> {
  if (format === 'uuid') return fc.uuid()
  if (format === 'date-time')
    return fc.date({ noInvalidDate: true, min: new Date(0) }).map((date) => date.toISOString())
  return pattern === undefined ? fc.string({ maxLength: 40 }) : fc.stringMatching(new RegExp(pattern))
}
