import { z } from 'zod'

/**
 * Which span of which trace something belongs to: the value of the header of this name (W3C Trace Context, version 00), such
 * as `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
 */
export const traceparent = z
  .string()
  .regex(
    /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/,
    'expected a traceparent of W3C Trace Context, version 00',
  )
