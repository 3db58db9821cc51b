import { z } from 'zod'

/** A number of bytes: an integer, or a string in hex (`0x…`) or decimal, up to 2^53 - 1. */
export const bytes = z.union([z.number(), z.string()]).transform((value, context) => {
  const number = typeof value === 'number' ? value : parse(value)
  if (Number.isSafeInteger(number) && number >= 0) return number
  context.addIssue({
    code: 'custom',
    message: `expected a number of bytes (such as 4096 or "0x1000"), found ${JSON.stringify(value)}`,
  })
  return z.NEVER
})

function parse(text: string): number {
  return /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : Number.NaN
}
