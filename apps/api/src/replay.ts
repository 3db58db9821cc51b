import type { KeyedRequest } from './idempotency-keys.ts'
import type { DumpRecord } from './dump-record.ts'
import type { Journal } from './journal.ts'
import { ApiProblem } from './problem.ts'

/**
 * The dump that an earlier request with this key made, or undefined when this is the first. Throws ApiProblem
 * IDEMPOTENCY_MISMATCH when that request asked for something else, DUMP_REMOVED when its dump is there no more, and
 * IDEMPOTENCY_FULL when the owner has no room for a new key.
 */
export function earlierDump(journal: Journal, keyed: KeyedRequest): DumpRecord | undefined {
  const found = journal.keys.find(keyed)
  if (!found) {
    if (journal.keys.hasRoom(keyed.owner)) return undefined
    throw new ApiProblem(
      'IDEMPOTENCY_FULL',
      'as many Idempotency-Keys as are remembered were used in the last 24 hours',
    )
  }
  if (found.fingerprint !== keyed.fingerprint) {
    throw new ApiProblem('IDEMPOTENCY_MISMATCH', 'a request with this Idempotency-Key came before, with another body')
  }
  const dump = journal.get(found.dump)
  if (!dump) throw new ApiProblem('DUMP_REMOVED', `dump ${found.dump} was removed after it was made`)
  return dump
}
