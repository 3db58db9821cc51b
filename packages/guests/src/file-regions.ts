import * as z from 'zod/mini'
import { bytes } from './bytes.ts'
import { text } from './text.ts'

/** Where guest RAM lies in files. */
export const fileRegions = z
  .array(z.strictObject({ gpa: bytes, size: bytes, file: text, offset: z.prefault(bytes, 0) }))
  .check(z.minLength(1), z.maxLength(4096))
