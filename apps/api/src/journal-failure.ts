/** SQLite's result codes (their lowest byte) for a disk that is full, fails, or is read only. */
const DISK_CODES: readonly number[] = [8, 10, 13]

/** Whether `error` is the database's word that what lies under it cannot be written. */
export function isJournalFailure(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_SQLITE_ERROR') return false
  return 'errcode' in error && typeof error.errcode === 'number' && DISK_CODES.includes(error.errcode & 0xff)
}
