import { openXen, resumeAbandonedDomains } from '@ullage/xen'
import { z } from 'zod'
import { backend } from './backend.ts'

const file = z.string().min(1)

const domainError = 'expected the name of a domain, or its number from 1 on'

const source = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('core'), file }),
  z.strictObject({ kind: z.literal('save'), file }),
  z.strictObject({
    kind: z.literal('domain'),
    domain: z.union([z.string().min(1).max(256), z.int().min(1, domainError).max(0x7fef, domainError)], domainError),
    allow: z.array(z.literal('populateOnDemand')).max(1).optional(),
  }),
])

export const xen = backend({ source, open: openXen, resumeAbandoned: resumeAbandonedDomains })
