import { openHyperv } from '@ullage/hyperv'
import { z } from 'zod'
import { backend } from './backend.ts'
import { bytes } from './bytes.ts'

const region = z.strictObject({ gpa: bytes, size: bytes, file: z.string().min(1), offset: bytes.default(0) })

const files = z
  .strictObject({
    kind: z.literal('files'),
    regions: z.array(region).min(1).max(4096),
    ranges: z.string().min(1).optional(),
    messages: z.string().min(1).optional(),
    backing: z.string().min(1).optional(),
    notes: z.string().min(1).optional(),
  })
  .refine(({ ranges, messages, backing }) => ranges ?? messages ?? backing, {
    error: 'expected at least one of "ranges", "messages" and "backing", found none',
  })

const savedState = z.strictObject({ kind: z.literal('saved-state'), file: z.string().min(1) })

const live = z.strictObject({
  kind: z.literal('qmp'),
  socket: z.string().min(1),
  trace: z.string().min(1).optional(),
})

const source = z.discriminatedUnion('kind', [files, savedState, live])

export const hyperv = backend({ source, open: openHyperv })
