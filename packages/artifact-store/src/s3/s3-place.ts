import { z } from 'zod'

/** The part of an S3-compatible store that artifacts are kept in, and how to get there. Holds secrets. */
export const s3Place = z.strictObject({
  bucket: z.string(),
  /** Ends with a slash, or is empty. */
  prefix: z.string(),
  endpoint: z.string().optional(),
  region: z.string(),
  pathStyle: z.boolean(),
  credentials: z.strictObject({
    accessKeyId: z.string(),
    secretAccessKey: z.string(),
    sessionToken: z.string().optional(),
  }),
  serverSideEncryption: z.enum(['AES256', 'aws:kms']).optional(),
  partBytes: z.int(),
  timeoutMs: z.int(),
  attempts: z.int(),
})
export type S3Place = z.infer<typeof s3Place>
