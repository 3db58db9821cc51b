import type { RedisNode } from '@ullage/dump-job'
import { connect } from 'node:tls'

const WITHIN_MS = 5_000

/** Tries TLS with a server, and tells what fails; undefined when nothing does. */
export function tlsFailure({ host, port }: RedisNode): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: WITHIN_MS })
    const end = (error?: Error) => {
      socket.destroy()
      resolve(error)
    }
    socket.once('secureConnect', () => end())
    socket.once('timeout', () => end())
    socket.on('error', end)
  })
}
