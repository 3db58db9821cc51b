import { cancelKey, cancelOrder, controlChannel } from '@ullage/dump-job'
import { connectSubscriber, type RedisClient } from '@ullage/redis-connection'
import type { Logger } from 'pino'
import { lookRegularly } from './look-regularly.ts'

/** How often running dumps look whether somebody asked to cancel them, should the order not have been heard. */
const LOOK_EVERY_MS = 2_000

export interface HearCancelOrdersOptions {
  /** Gets a connection of its own from it. */
  readonly redis: RedisClient
  readonly host: string
  /** Ids of the dumps that run here now. */
  readonly running: () => Iterable<string>
  readonly cancel: (dump: string) => void
  readonly log: Logger
}

/** Cancels the running dumps that clients asked to cancel, until disposed. */
export async function hearCancelOrders(options: HearCancelOrdersOptions): Promise<AsyncDisposable> {
  const { redis, host, running, cancel, log } = options
  const subscriber = connectSubscriber(redis)
  subscriber.on('error', (error) => log.debug({ reason: error.message }, 'control channel'))
  subscriber.on('message', (_channel, text) => {
    const order = readOrder(text)
    if (order) cancel(order.cancel)
    else log.warn('an order on the control channel was not understood')
  })
  await subscriber.subscribe(controlChannel(host))

  const look = async () => {
    for (const dump of running()) {
      if (await redis.exists(cancelKey(dump))) cancel(dump)
    }
  }
  const looks = lookRegularly(look, {
    everyMs: LOOK_EVERY_MS,
    failed: (error) => log.warn({ reason: String(error) }, 'orders could not be looked up'),
  })
  return {
    async [Symbol.asyncDispose]() {
      looks[Symbol.dispose]()
      subscriber.disconnect()
    },
  }
}

function readOrder(text: string) {
  try {
    return cancelOrder.safeParse(JSON.parse(text)).data
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
