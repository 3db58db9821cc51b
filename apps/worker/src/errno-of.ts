/** The code of a system error such as `ENOENT`, or of any error that has one; undefined for others. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
