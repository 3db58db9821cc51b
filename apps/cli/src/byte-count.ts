import { UsageError } from './usage-error.ts'

const FACTORS = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const

const COUNT = /^([0-9]+)([KMGT]?)$/

/** `value` as a number of bytes, such as `268435456` or `256M`, up to `maxBytes`. Throws UsageError naming the option. */
export function byteCount(
  option: string,
  value: string | undefined,
  { maxBytes, fallback }: { maxBytes: number; fallback: number },
): number {
  if (value === undefined) return fallback
  const [, digits = '', unit = ''] = COUNT.exec(value) ?? []
  const bytes = digits === '' ? Number.NaN : Number(digits) * FACTORS[unit as keyof typeof FACTORS]
  if (bytes <= maxBytes) return bytes
  throw new UsageError(
    `--${option}: expected a number of bytes up to ${maxBytes}, with K, M, G or T for more of them (such as 256M), found ${JSON.stringify(value)}`,
  )
}
