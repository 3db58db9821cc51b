import { expect, test } from 'vitest'
import { isJournalFailure } from './journal-failure.ts'

const sqlite = (errcode: number) => Object.assign(new Error('said by SQLite'), { code: 'ERR_SQLITE_ERROR', errcode })

test.each([
  ['a full disk', sqlite(13), true],
  ['a failed fsync, by its extended code', sqlite(1034), true],
  ['a disk that is read only', sqlite(8), true],
  ['a broken rule of the tables', sqlite(19), false],
  ['an error of the system', Object.assign(new Error('x'), { code: 'ENOSPC' }), false],
  ['no error at all', 13, false],
])('%s', (_, error, is) => {
  expect(isJournalFailure(error)).toBe(is)
})
