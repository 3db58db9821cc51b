import type { PfnRange } from '@ullage/pages'
import type { BackingRun, OfflineQuery } from '../offline-query.ts'
import type { ConformanceFixture } from './conformance-fixture.ts'

/** Opens a fixture for the length of `body`, and closes it whatever happens. */
export async function withFixture(
  open: () => Promise<ConformanceFixture>,
  body: (fixture: ConformanceFixture) => Promise<void>,
): Promise<void> {
  const fixture = await open()
  try {
    await body(fixture)
  } finally {
    await fixture.guest[Symbol.asyncDispose]()
    await fixture.dispose?.()
  }
}

/** All runs of `within`. Copied, so that a backend that reuses one object is found out. */
export async function collectRuns(
  query: OfflineQuery,
  within: PfnRange,
  skip?: readonly PfnRange[],
): Promise<BackingRun[]> {
  const runs: BackingRun[] = []
  for await (const run of query.backing(skip ? { within, skip } : { within })) runs.push(run)
  return runs.map(({ start, count, state }) => ({ start, count, state }))
}

/** What `action` throws or rejects with, or undefined when it does neither. */
export async function thrownBy(action: () => unknown): Promise<unknown> {
  try {
    await action()
    return undefined
  } catch (error) {
    return error
  }
}

/** Name and code of what was thrown, for comparison and for messages. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return error === undefined ? 'nothing' : String(error)
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : ''
  return `${error.name}${code}: ${error.message}`
}

/** True for the errors of the contract. By name, since a package may be loaded twice. */
export function isOfflineError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && error.name === 'OfflineError' && 'code' in error && typeof error.code === 'string'
}
