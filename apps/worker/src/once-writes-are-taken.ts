import { setTimeout as delay } from 'node:timers/promises'
import { unlessAborted } from '@ullage/dump-job'
import { writeRefusalOf } from '@ullage/redis-connection'

const TRY_EVERY_MS = 1_000

export interface OnceWritesAreTakenOptions {
  /** Told the code by which Redis refuses, whenever it is another one than before. */
  readonly onRefused: (code: string) => void
  readonly tryEveryMs?: number
  /** Ends asking and waiting; its reason is thrown. */
  readonly signal?: AbortSignal
}

/**
 * What `ask` returns, which is asked again each second while Redis answers that it takes no writes now: it is full, or its disk,
 * or its replicas are too few. Throws what else `ask` throws.
 */
export async function onceWritesAreTaken<T>(
  ask: () => Promise<T>,
  { onRefused, tryEveryMs = TRY_EVERY_MS, signal }: OnceWritesAreTakenOptions,
): Promise<T> {
  let told: string | undefined
  for (;;) {
    signal?.throwIfAborted()
    try {
      return await unlessAborted(ask(), signal)
    } catch (error) {
      signal?.throwIfAborted()
      const code = writeRefusalOf(error)
      if (code === undefined) throw error
      if (code !== told) onRefused(code)
      told = code
    }
    await unlessAborted(delay(tryEveryMs), signal)
  }
}
