import { redisSecretPaths } from '@ullage/redis-connection'

/** Members that logs never show, wherever a library should put a request or an error that knows a token. */
export const secretPaths: string[] = [
  ...['authorization', 'cookie', 'token', 'payload', 'password'].flatMap((name) => [
    name,
    `*.${name}`,
    `*.headers.${name}`,
    `*.cause.${name}`,
    `headers.${name}`,
  ]),
  ...redisSecretPaths,
]
