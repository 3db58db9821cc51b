/**
 * Members of what pino logs as `err` that it has to leave out: an error of ioredis's holds the command that failed, and that
 * of the first one on a connection is the password.
 */
export const redisSecretPaths: readonly string[] = ['err.command', 'err.*.command', 'err.*.*.command']
