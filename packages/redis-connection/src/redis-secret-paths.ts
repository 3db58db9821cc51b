/**
 * Members of what pino logs as `err` that it has to leave out: an error of ioredis's holds the command that failed, and that
 * of the first one on a connection is the password. It may lie within the error of a Cluster, and that among others.
 */
export const redisSecretPaths: readonly string[] = [0, 1, 2, 3].map((depth) => `err.${'*.'.repeat(depth)}command`)
