import { openXen } from '@ullage/xen'
import { z } from 'zod'
import { backend } from './backend.ts'

const source = z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('core'), file: z.string().min(1) })])

export const xen = backend({ source, open: openXen })
