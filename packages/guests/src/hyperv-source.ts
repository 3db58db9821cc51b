import { openHyperv } from '@ullage/hyperv'
import * as z from 'zod/mini'
import { backend } from './backend.ts'
import { fileRegions } from './file-regions.ts'
import { text } from './text.ts'

const files = z
  .strictObject({
    kind: z.literal('files'),
    regions: fileRegions,
    ranges: z.optional(text),
    messages: z.optional(text),
    backing: z.optional(text),
    notes: z.optional(text),
  })
  .check(
    z.refine(({ ranges, messages, backing }) => ranges ?? messages ?? backing, {
      error: 'expected at least one of "ranges", "messages" and "backing", found none',
    }),
  )

const savedState = z.strictObject({ kind: z.literal('saved-state'), file: text })

const live = z.strictObject({ kind: z.literal('qmp'), socket: text, trace: z.optional(text) })

const source = z.discriminatedUnion('kind', [files, savedState, live])

export const hyperv = backend({ source, open: openHyperv })
