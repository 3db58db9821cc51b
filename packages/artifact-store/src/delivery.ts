import { z } from 'zod'
import { s3Place } from './s3/s3-place.ts'

/** Encryption of one artifact: plain data, secret. */
const sealing = z.strictObject({ header: z.base64(), dataKey: z.base64() })
export type Sealing = z.infer<typeof sealing>

/** How a finished file comes to its place. Passed to the process that writes it; holds secrets. */
export const delivery = z.discriminatedUnion('kind', [
  /** It is there. */
  z.strictObject({ kind: z.literal('inPlace') }),
  /** Its encrypted form becomes the file `path`. */
  z.strictObject({ kind: z.literal('seal'), path: z.string(), sealing }),
  /** It, or its encrypted form, becomes the parts of an upload. */
  z.strictObject({
    kind: z.literal('upload'),
    place: s3Place,
    key: z.string(),
    uploadId: z.string(),
    sealing: sealing.optional(),
  }),
])
export type Delivery = z.infer<typeof delivery>

const uploadedPart = z.strictObject({ number: z.int().min(1), etag: z.string(), sha256: z.string().optional() })
export type UploadedPart = z.infer<typeof uploadedPart>

/** What publishing needs to know of a file that was delivered. */
export const delivered = z.strictObject({
  storedBytes: z.int().min(0),
  parts: z.array(uploadedPart),
})
export type Delivered = z.infer<typeof delivered>
