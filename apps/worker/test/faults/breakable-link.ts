import { connect, createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'

type Condition = 'open' | 'refusing' | 'swallowing'

/**
 * A TCP address that leads to a Redis on a unix socket, until it is broken: connections cut, or left as they are while
 * nothing that is sent arrives, as behind a router that has forgotten them.
 */
export class BreakableLink implements AsyncDisposable {
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #condition: Condition = 'open'

  private constructor(target: string) {
    this.#server = createServer({ pauseOnConnect: true }, (near) => {
      if (this.#condition === 'refusing') return void near.resetAndDestroy()
      if (this.#condition === 'swallowing') {
        near.on('error', () => undefined)
        this.#remember([near, near])
        return
      }
      const far = connect(target)
      this.#remember([near, far])
      for (const socket of [near, far]) socket.on('error', () => undefined)
      near.pipe(far).pipe(near)
      near.on('close', () => far.destroy())
      far.on('close', () => near.destroy())
    })
  }

  static async to(socketPath: string): Promise<BreakableLink> {
    const link = new BreakableLink(socketPath)
    link.#server.listen(0, '127.0.0.1')
    await once(link.#server, 'listening')
    return link
  }

  get url(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the link is closed')
    return `redis://127.0.0.1:${address.port}`
  }

  /** Cuts every connection and refuses new ones, until `mend`. */
  cut(): void {
    this.#condition = 'refusing'
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy()
      far.destroy()
    }
  }

  /** Lets nothing through, in connections there are and in new ones, and tells nobody. Those stay dead also after `mend`. */
  swallow(): void {
    this.#condition = 'swallowing'
    for (const [near, far] of this.#pairs) {
      near.unpipe(far)
      far.unpipe(near)
      near.pause()
      far.pause()
    }
  }

  /** New connections lead to Redis again. */
  mend(): void {
    this.#condition = 'open'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
  }

  #remember(pair: readonly [Socket, Socket]): void {
    this.#pairs.add(pair)
    pair[0].on('close', () => this.#pairs.delete(pair))
  }
}
