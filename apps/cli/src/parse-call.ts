import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { HelpRequest, UsageError } from './usage-error.ts'

/** Parses the arguments of one command. Throws UsageError for an unknown option or a wrong number of operands. */
export function parseCall<Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  call: { usage: string; details?: string; options: Options; operands: readonly string[] },
) {
  if (args.includes('--help') || args.includes('-h'))
    throw new HelpRequest([call.usage, call.details].filter(Boolean).join('\n\n'))
  const parsed = parse(args, call)
  if (parsed.positionals.length !== call.operands.length) {
    const expected = call.operands.length === 0 ? 'no operand' : call.operands.join(' ')
    throw new UsageError(
      `expected ${expected}, found ${parsed.positionals.length === 0 ? 'nothing' : parsed.positionals.join(' ')}\nusage: ${call.usage}`,
    )
  }
  return parsed
}

function parse<Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  call: { usage: string; options: Options },
) {
  try {
    return parseArgs({ args: [...args], options: call.options, allowPositionals: true, strict: true })
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/\. To specify.*$/s, '') : String(error)
    throw new UsageError(`${reason}\nusage: ${call.usage}`, { cause: error })
  }
}

/** `value` as one of `allowed`, or `fallback` when it was not given. Throws UsageError naming the option. */
export function oneOf<T extends string>(
  option: string,
  value: string | undefined,
  allowed: readonly T[],
  fallback: T,
): T {
  if (value === undefined) return fallback
  const found = allowed.find((name) => name === value)
  if (found === undefined)
    throw new UsageError(`--${option}: expected ${allowed.join('|')}, found ${JSON.stringify(value)}`)
  return found
}

/** `value` as an integer of [min, max], or `fallback` when it was not given. Throws UsageError naming the option. */
export function integer(
  option: string,
  value: string | undefined,
  range: { min: number; max: number; fallback: number },
): number {
  if (value === undefined) return range.fallback
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (number >= range.min && number <= range.max) return number
  throw new UsageError(
    `--${option}: expected an integer from ${range.min} to ${range.max}, found ${JSON.stringify(value)}`,
  )
}
