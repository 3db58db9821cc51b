import * as z from 'zod/mini'

/** A number of bytes: an integer, or a string in hex (`0x…`) or decimal, up to 2^53 - 1. */
export const bytes = z.pipe(
  z.union([z.number(), z.string()]).check(
    z.refine((value) => isBytes(toNumber(value)), {
      error: ({ input }) => `expected a number of bytes (such as 4096 or "0x1000"), found ${JSON.stringify(input)}`,
    }),
  ),
  z.transform(toNumber),
)

function isBytes(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0
}

function toNumber(value: number | string): number {
  if (typeof value === 'number') return value
  return /^(0x[0-9a-f]+|[0-9]+)$/i.test(value) ? Number(value) : Number.NaN
}
