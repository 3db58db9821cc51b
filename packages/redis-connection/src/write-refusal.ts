/**
 * What Redis begins with when it answers, and takes no writes: full, its disk full, a replica, too few replicas. Before Redis 7 an
 * error inside a script begins with `ERR Error running script`.
 */
const REFUSES = /^(?:ERR Error running script .*-)?(OOM|MISCONF|READONLY|NOREPLICAS)\b/

/** The code by which Redis refuses a write that it would take another time; undefined for an error that tells of something else. */
export function writeRefusalOf(error: unknown): string | undefined {
  return error instanceof Error ? REFUSES.exec(error.message)?.[1] : undefined
}
