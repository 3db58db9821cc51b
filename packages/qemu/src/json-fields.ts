import { QemuError } from './qemu-error.ts'

export type JsonObject = { readonly [key: string]: unknown }

/** `value` as an object; throws UNEXPECTED_ANSWER naming `what` when it is none. */
export function toObject(value: unknown, what: string): JsonObject {
  if (!isObject(value)) throw unexpected(what, 'an object', value)
  return value
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function toList(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw unexpected(what, 'a list', value)
  return value
}

export function toText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw unexpected(what, 'a string', value)
  return value
}

export function toFlag(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw unexpected(what, 'true or false', value)
  return value
}

/** A count that QEMU sends as a JSON number; one above 2^53 has lost digits and is refused. */
export function toCount(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw unexpected(what, 'an integer from 0 to 2^53', value)
  }
  return value
}

function unexpected(what: string, expected: string, found: unknown): QemuError {
  const shown = JSON.stringify(found)?.slice(0, 100) ?? 'nothing'
  return new QemuError('UNEXPECTED_ANSWER', `expected ${expected} as ${what} from qemu, found ${shown}`)
}
