import { openXen, resumeAbandonedDomains } from '@ullage/xen'
import * as z from 'zod/mini'
import { backend } from './backend.ts'
import { text } from './text.ts'

const domainError = 'expected the name of a domain, or its number from 1 on'

const name = z.string().check(z.minLength(1), z.maxLength(256))
const number = z.int().check(z.minimum(1, domainError), z.maximum(0x7fef, domainError))

const source = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('core'), file: text }),
  z.strictObject({ kind: z.literal('save'), file: text }),
  z.strictObject({
    kind: z.literal('domain'),
    domain: z.union([name, number], domainError),
    allow: z.optional(z.array(z.literal('populateOnDemand')).check(z.maxLength(1))),
  }),
])

export const xen = backend({ source, open: openXen, resumeAbandoned: resumeAbandonedDomains })
