import { openVirtioBalloon, resumeAbandoned } from '@ullage/virtio-balloon'
import { z } from 'zod'
import { backend } from './backend.ts'
import { bytes } from './bytes.ts'

const region = z.strictObject({ gpa: bytes, size: bytes, file: z.string().min(1), offset: bytes.default(0) })

const source = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('qmp'), socket: z.string().min(1) }),
  z.strictObject({
    kind: z.literal('files'),
    regions: z.array(region).min(1).max(4096),
    backing: z.string().min(1).optional(),
    notes: z.string().min(1).optional(),
  }),
])

export const virtioBalloon = backend({
  source,
  open: openVirtioBalloon,
  resumeAbandoned: async (stateDir) =>
    (await resumeAbandoned(stateDir)).map(({ socketPath, ...rest }) => ({ guest: socketPath, ...rest })),
})
