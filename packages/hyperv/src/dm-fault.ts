import type { DmMessageErrorCode } from './dm-message-error.ts'

/**
 * What was wrong with a message. Those of `DmMessageErrorCode`, and of messages that can be read:
 *
 * - `UNEXPECTED`: an answer to nothing that was asked. It changes nothing.
 * - `OUTSIDE_RAM`: it names frames that are no guest RAM. They are left out.
 * - `REPEATED`: it balloons frames that are out already, or gives back frames that are not out, or asks to hot-add frames
 *   that are out: these are out no more.
 * - `EXCESS`: more frames than were asked for. Ballooned ones count (old kernels round up), hot-added ones do not.
 * - `TOO_MANY`: more frames than there is RAM, or more open requests than are kept. It changes nothing.
 * - `RESTARTED`: the guest negotiates anew.
 * - `VERSION`: it follows the agreement on a version that is not known.
 */
export type DmFaultCode =
  | DmMessageErrorCode
  | 'UNEXPECTED'
  | 'OUTSIDE_RAM'
  | 'REPEATED'
  | 'EXCESS'
  | 'TOO_MANY'
  | 'RESTARTED'
  | 'VERSION'

export interface DmFault {
  readonly code: DmFaultCode
  /** What was expected and what was found. */
  readonly text: string
}

/** How often a fault was found, and the first of its code. */
export interface DmFaultCount {
  readonly code: DmFaultCode
  readonly count: number
  readonly first: DmFault
}

const NONE: readonly DmFault[] = []

/** Faults of the message at hand, and counts of all: memory stays the same however many there are. */
export class DmFaults {
  readonly #counts = new Map<DmFaultCode, { code: DmFaultCode; count: number; first: DmFault }>()
  #current: DmFault[] | undefined

  get counted(): readonly DmFaultCount[] {
    return [...this.#counts.values()].map((entry) => ({ ...entry }))
  }

  add(code: DmFaultCode, text: string): void {
    const fault = { code, text }
    this.#current ??= []
    this.#current.push(fault)
    const entry = this.#counts.get(code)
    if (entry) entry.count++
    else this.#counts.set(code, { code, count: 1, first: fault })
  }

  /** The faults added since the last call. */
  taken(): readonly DmFault[] {
    const current = this.#current ?? NONE
    this.#current = undefined
    return current
  }
}
