import { readdirSync } from 'node:fs'
import { OfflineError, type OpenGuest } from '@ullage/offline-query'
import { expect } from 'vitest'

/** The error that a file was refused with: an OfflineError in the form all have, no file left open. */
export async function refusal(open: () => Promise<OpenGuest>): Promise<OfflineError> {
  const before = openFiles()
  const error: unknown = await open().then(
    () => new Error('it was opened'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof OfflineError)) throw error
  expect(error.message).toMatch(/^[a-z/]/)
  expect(error.message).not.toMatch(/\.$/)
  expect(openFiles()).toBe(before)
  return error
}

export function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}
