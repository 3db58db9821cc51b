import type { FastifyRequest } from 'fastify'
import { ApiProblem } from '../problem.ts'
import type { Authenticate } from './authenticate.ts'
import { mayDo, type Principal, type Scope } from './principal.ts'

/** How often it is asked whether who asked still may, in milliseconds. */
const LOOK_EVERY_MS = 5_000

export interface AccessWatch {
  /** Called once, with why, when who asked may no longer. */
  readonly onLost: (why: string) => void
  /** What began goes on when the token expires; it ends only when the access was taken away. */
  readonly outlivesToken?: boolean
}

/** Watches over an answer that takes long, until the function that is returned is called. */
export type WatchAccess = (watch: AccessWatch) => () => void

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined on routes that are open to all. */
    watchAccess: WatchAccess | undefined
  }
}

export interface WatchAccessOptions {
  readonly authenticate: Authenticate
  readonly principal: Principal
  readonly needed: Scope | 'fleet'
  readonly lookEveryMs?: number | undefined
}

/**
 * Asks again, every few seconds and when the token expires, who sent the request: an answer that takes long is not to outlive a
 * key that was removed, or one that now is another tenant's or lacks the scope. While it cannot be told, nothing ends.
 */
export function watchAccessOf({ headers }: FastifyRequest, options: WatchAccessOptions): WatchAccess {
  const { authenticate, principal, needed, lookEveryMs = LOOK_EVERY_MS } = options
  const { expiresMs = Number.POSITIVE_INFINITY } = principal
  const whyNot = async () => {
    try {
      const now = await authenticate(headers.authorization)
      if (now.id !== principal.id || now.tenant !== principal.tenant) return 'the key is now another one'
      return mayDo(now, needed) ? undefined : 'the scope was taken away'
    } catch (error) {
      if (error instanceof ApiProblem && error.code === 'UNAUTHENTICATED') return error.message
      return undefined
    }
  }
  return ({ onLost, outlivesToken = false }) => {
    let timer: NodeJS.Timeout | undefined
    let over = false
    const look = async () => {
      const expired = Date.now() >= expiresMs
      // A token that has expired says no more of its access.
      if (expired && outlivesToken) return
      const why = expired ? 'the token has expired' : await whyNot()
      if (over) return
      if (why === undefined) return lookLater()
      onLost(why)
    }
    const lookLater = () => {
      const untilMs = Math.max(0, Math.min(lookEveryMs, expiresMs - Date.now()))
      timer = setTimeout(() => void look(), untilMs)
      timer.unref()
    }
    lookLater()
    return () => {
      over = true
      clearTimeout(timer)
    }
  }
}
