import { DM_TYPE, DmHeader, DmBalloonResponse, DmUnballoonRequest } from './dm-layout.ts'
import type { DmSender } from './dm-message.ts'

/** The request that an answer belongs to, by type. */
const ANSWERS: ReadonlyMap<number, number> = new Map([
  [DM_TYPE.VERSION_RESPONSE, DM_TYPE.VERSION_REQUEST],
  [DM_TYPE.CAPABILITIES_RESPONSE, DM_TYPE.CAPABILITIES_REPORT],
  [DM_TYPE.BALLOON_RESPONSE, DM_TYPE.BALLOON_REQUEST],
  [DM_TYPE.UNBALLOON_RESPONSE, DM_TYPE.UNBALLOON_REQUEST],
  [DM_TYPE.MEM_HOT_ADD_RESPONSE, DM_TYPE.MEM_HOT_ADD_REQUEST],
  [DM_TYPE.MEM_HOT_REMOVE_RESPONSE, DM_TYPE.MEM_HOT_REMOVE_REQUEST],
])
const REQUESTS: ReadonlySet<number> = new Set(ANSWERS.values())

interface Sent {
  readonly from: DmSender
  readonly bytes: Uint8Array
}

/**
 * One order of two directions that were recorded apart. An answer comes after its request, and a side asks the next thing
 * when the last is answered, which leaves open only where reports stand, and they change nothing.
 */
export function inWireOrder(fromGuest: readonly Uint8Array[], fromHost: readonly Uint8Array[]): Sent[] {
  const order: Sent[] = []
  const open = new Map<number, number>()
  let guest = 0
  let host = 0
  while (guest < fromGuest.length || host < fromHost.length) {
    const next = { guest: fromGuest[guest], host: fromHost[host] }
    const isHostsTurn = next.host !== undefined && (next.guest === undefined || hostFirst(next.guest, next.host, open))
    const from = isHostsTurn ? 'host' : 'guest'
    const bytes = next[from]
    if (bytes === undefined) break
    if (isHostsTurn) host++
    else guest++
    account(bytes, open)
    order.push({ from, bytes })
  }
  return order
}

function hostFirst(guest: Uint8Array, host: Uint8Array, open: ReadonlyMap<number, number>): boolean {
  if (isEarly(host, open)) return false
  if (isEarly(guest, open)) return true
  const hostType = typeOf(host)
  if (ANSWERS.has(hostType)) return true
  // The host asks for one thing at a time: what is open is answered first.
  return [...open.values()].every((count) => count === 0)
}

/** Whether a message answers a request that has not been taken yet. */
function isEarly(bytes: Uint8Array, open: ReadonlyMap<number, number>): boolean {
  const request = ANSWERS.get(typeOf(bytes))
  return request !== undefined && (open.get(request) ?? 0) === 0
}

function account(bytes: Uint8Array, open: Map<number, number>): void {
  const type = typeOf(bytes)
  if (REQUESTS.has(type) && !saysMore(bytes)) open.set(type, (open.get(type) ?? 0) + 1)
  const request = ANSWERS.get(type)
  if (request !== undefined && !saysMore(bytes)) open.set(request, Math.max(0, (open.get(request) ?? 0) - 1))
}

/** Whether further messages belong to the same request, or answer. */
function saysMore(bytes: Uint8Array): boolean {
  const type = typeOf(bytes)
  if (type === DM_TYPE.BALLOON_RESPONSE && bytes.length >= DmBalloonResponse.size) {
    return (DmBalloonResponse.read(bytes).more_and_count & 1) === 1
  }
  if (type === DM_TYPE.UNBALLOON_REQUEST && bytes.length >= DmUnballoonRequest.size) {
    return (DmUnballoonRequest.read(bytes).more & 1) === 1
  }
  return false
}

function typeOf(bytes: Uint8Array): number {
  return DmHeader.read(bytes).type
}
