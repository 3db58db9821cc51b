import type { DumpFailure } from './dump-failure.ts'
import { type FailureWords, failureWords, unknownFailure } from './failure-words.ts'

/** A word with one of these may name a place: a path, a web address, an object's key, `user@host`, an IP address, `host:port`. */
const PLACES: readonly RegExp[] = [/[/\\@]/, /\d{1,3}(?:\.\d{1,3}){3}/, /::[0-9a-f]/i, /(?<!\d)[a-z][\w.-]{0,63}:\d/i]
/** More of a host's text is not told, in characters. */
const MOST_CHARACTERS = 1_000

/**
 * A host's text up to the first word that may name a place there, then `…`; undefined when nothing is left. What follows that
 * word is not told either: a path may hold spaces.
 */
export function withoutPlaces(text: string): string | undefined {
  const words = text.slice(0, MOST_CHARACTERS).split(/(?<=\s)/)
  const first = words.findIndex((word) => PLACES.some((place) => place.test(word)))
  if (first === -1 && text.length <= MOST_CHARACTERS) return text
  const before = words
    .slice(0, first === -1 ? -1 : first)
    .join('')
    .replace(/[\s"'`(<[{=:;,]+$/, '')
  return before === '' ? undefined : `${before} …`
}

const FIRST = '; first attempt: '

/** A failure as a tenant is told it: the code, a sentence and what to do, and nothing of the host. */
export function failureForTenant({ code, message }: DumpFailure): DumpFailure {
  const [last = '', earlier] = split(message, FIRST)
  const [, firstCode, firstMessage] = /^([A-Z][A-Z0-9_]{1,63}): (.*)$/s.exec(earlier ?? '') ?? []
  const words = wordsOf(code)
  const first =
    firstCode === undefined ? '' : `; first attempt: ${firstCode}: ${sentence(wordsOf(firstCode), firstMessage ?? '')}`
  return { code, message: `${sentence(words, last)}${first}; ${words.remedy}` }
}

function wordsOf(code: string): FailureWords {
  return (Object.hasOwn(failureWords, code) ? failureWords[code] : undefined) ?? unknownFailure
}

function sentence({ what, isOfGuest }: FailureWords, message: string): string {
  const detail = isOfGuest ? withoutPlaces(message) : undefined
  return detail === undefined ? what : `${what}: ${detail}`
}

function split(text: string, at: string): [string, string?] {
  const found = text.indexOf(at)
  return found === -1 ? [text] : [text.slice(0, found), text.slice(found + at.length)]
}

const UNTOLD = 'who runs this service can read what it says'

/** Members of what a guest or a report says that look like places and are none. */
const NO_PLACES: readonly string[] = ['schema', 'kernel']

/**
 * Any answer as a tenant is told it: each failure in it (`code`, `message`) by `failureForTenant`, each warning (`code`, `text`)
 * without places, and so are texts in what a report or a guest's figures say, members of later engines among them.
 */
export function toldToTenant(value: unknown, isOfHost = false): unknown {
  if (typeof value === 'string') return isOfHost ? (withoutPlaces(value) ?? UNTOLD) : value
  if (Array.isArray(value)) return value.map((each) => toldToTenant(each, isOfHost))
  if (typeof value !== 'object' || value === null) return value
  if (isFailure(value)) return failureForTenant(value)
  const fromHost = isOfHost || ('schema' in value && typeof value.schema === 'string') || isWarning(value)
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      NO_PLACES.includes(name) && typeof member === 'string'
        ? member
        : toldToTenant(member, fromHost || (name === 'guest' && typeof member === 'object')),
    ]),
  )
}

function isFailure(value: object): value is DumpFailure {
  return 'code' in value && 'message' in value && typeof value.code === 'string' && typeof value.message === 'string'
}

function isWarning(value: object): boolean {
  return 'code' in value && 'text' in value && typeof value.text === 'string'
}
