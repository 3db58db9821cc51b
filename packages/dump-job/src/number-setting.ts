import { z } from 'zod'

export interface NumberSettingOptions {
  /** Least and most that it may be, both included. */
  readonly least: number
  readonly most: number
}

/** A setting that is a whole number, written in digits: one that is empty is wrong, and not 0. */
export function wholeNumberSetting({ least, most }: NumberSettingOptions) {
  return numberSetting(/^\d{1,16}$/, `expected a whole number from ${least} to ${most}`, { least, most })
}

/** A setting that is a number, written in digits, such as `0.5` or `30`. */
export function decimalSetting({ least, most }: NumberSettingOptions) {
  return numberSetting(/^\d{1,16}(\.\d{1,16})?$/, `expected a number from ${least} to ${most}`, { least, most })
}

function numberSetting(written: RegExp, expected: string, { least, most }: NumberSettingOptions) {
  return z
    .string()
    .regex(written, { error: expected, abort: true })
    .transform(Number)
    .pipe(z.number().min(least, expected).max(most, expected))
}
