import { openXen } from '@ullage/xen'
import { z } from 'zod'
import { backend } from './backend.ts'

const file = z.string().min(1)

const source = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('core'), file }),
  z.strictObject({ kind: z.literal('save'), file }),
])

export const xen = backend({ source, open: openXen })
