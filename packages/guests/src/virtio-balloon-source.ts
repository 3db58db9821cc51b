import { openVirtioBalloon, resumeAbandoned } from '@ullage/virtio-balloon'
import * as z from 'zod/mini'
import { backend } from './backend.ts'
import { fileRegions } from './file-regions.ts'
import { text } from './text.ts'

const source = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('qmp'), socket: text }),
  z.strictObject({
    kind: z.literal('files'),
    regions: fileRegions,
    backing: z.optional(text),
    notes: z.optional(text),
  }),
])

export const virtioBalloon = backend({
  source,
  open: openVirtioBalloon,
  resumeAbandoned: async (stateDir) =>
    (await resumeAbandoned(stateDir)).map(({ socketPath, ...rest }) => ({ guest: socketPath, ...rest })),
})
