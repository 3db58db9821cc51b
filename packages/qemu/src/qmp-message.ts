import { isObject, type JsonObject, toCount, toObject, toText } from './json-fields.ts'
import { QemuError } from './qemu-error.ts'

/** Version of QEMU, from the greeting. */
export interface QemuVersion {
  readonly major: number
  readonly minor: number
  readonly micro: number
}

/** Something QEMU tells unasked, such as `STOP`, `RESUME`, `SHUTDOWN`. */
export interface QmpEvent {
  readonly name: string
  readonly data: JsonObject
  /** When it happened, in milliseconds of QEMU's wall clock. */
  readonly timeMs: number
}

export type QmpMessage =
  | { readonly kind: 'return'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number | undefined; readonly qmpClass: string; readonly text: string }
  | { readonly kind: 'event'; readonly event: QmpEvent }

/** Decodes the first line a QMP server sends. Throws NOT_A_MONITOR when it is none. Ref: QEMU docs/interop/qmp-spec. */
export function decodeGreeting(line: string, socketPath: string): QemuVersion {
  const greeting = parse(line)
  if (!isObject(greeting) || !isObject(greeting.QMP)) throw notMonitor(socketPath, line)
  const version = toObject(greeting.QMP.version, 'QMP.version of the greeting')
  const qemu = toObject(version.qemu, 'QMP.version.qemu of the greeting')
  return {
    major: toCount(qemu.major, 'the major version'),
    minor: toCount(qemu.minor, 'the minor version'),
    micro: toCount(qemu.micro, 'the micro version'),
  }
}

/** Decodes one later line: an answer, a refusal or an event. Throws UNEXPECTED_ANSWER. */
export function decodeMessage(line: string): QmpMessage {
  const message = toObject(parse(line), 'a qmp message')
  if ('event' in message) {
    const data = isObject(message.data) ? message.data : {}
    const { seconds, microseconds } = toObject(message.timestamp, 'the time of an event')
    const timeMs = toCount(seconds, 'seconds of an event') * 1000 + toCount(microseconds, 'its microseconds') / 1000
    return { kind: 'event', event: { name: toText(message.event, 'the name of an event'), data, timeMs } }
  }
  if ('error' in message) {
    const error = toObject(message.error, 'a qmp error')
    const id = message.id === undefined ? undefined : toCount(message.id, 'the id of an error')
    const qmpClass = toText(error.class, 'the class of an error')
    return { kind: 'error', id, qmpClass, text: toText(error.desc, 'the text of an error') }
  }
  return { kind: 'return', id: toCount(message.id, 'the id of an answer'), value: message.return }
}

export function notMonitor(socketPath: string, found: string): QemuError {
  const shown = JSON.stringify(found.slice(0, 60))
  const human = /QEMU [\d.]+.* monitor/.test(found) ? ' (this is the human monitor of -monitor, not -qmp)' : ''
  return new QemuError(
    'NOT_A_MONITOR',
    `expected a qmp greeting at ${socketPath}, found ${shown}${human}; name the socket of -qmp unix:PATH,server=on,wait=off`,
  )
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
