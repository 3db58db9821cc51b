import { setImmediate } from 'node:timers/promises'
import type { PageTable } from './page-table.ts'
import type { PageFindings, PageVerifier } from './page-verifier.ts'
import type { SharedBytes } from './shared-bytes.ts'

/** A vmcore whose pages are checked: plain data, to be posted to a thread. */
export interface CheckedFile {
  readonly bytes: SharedBytes
  readonly pageBytes: number
  /** First byte that page data may have. */
  readonly dataStart: number
}

/** Checks tables of pages, here or in other threads. */
export interface PageChecker {
  /** How many tables it works on at a time, those that wait for a thread included. */
  readonly width: number
  check(table: PageTable): Promise<PageFindings>
  /** Once every table is answered, and none comes any more. Rejects when what checked them failed after its last answer. */
  finish(): Promise<void>
}

/**
 * Makes a checker for one file. Once it is disposed nothing reads the file any more. A thread of it is posted the file and
 * checks with a PageVerifier of its own.
 */
export type OpenPageChecker = (file: CheckedFile) => PageChecker & AsyncDisposable

/** Checks pages in this thread, which has a turn for other work before each table. */
export function checkHere(verifier: PageVerifier): PageChecker & AsyncDisposable {
  return {
    width: 1,
    async check(table) {
      await setImmediate()
      return verifier.check(table)
    },
    finish: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
}
