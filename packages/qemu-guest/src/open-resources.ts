/** What has been opened and is closed in reverse order: of AsyncDisposableStack, which Node 20 lacks, the part needed. */
export class OpenResources implements AsyncDisposable {
  #closers: (() => void | PromiseLike<void>)[] = []

  /** Has `resource` disposed of with the others. Returns it. */
  use<T extends Disposable>(resource: T): T {
    this.defer(() => resource[Symbol.dispose]())
    return resource
  }

  /** Has `close` called with the others. */
  defer(close: () => void | PromiseLike<void>): void {
    this.#closers.push(close)
  }

  /** Hands everything over to the result, so that disposing of this one closes nothing. */
  move(): OpenResources {
    const moved = new OpenResources()
    moved.#closers = this.#closers
    this.#closers = []
    return moved
  }

  /** Closes everything, whatever fails. Throws what the first closer that failed has thrown. A second call does nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closers = this.#closers.reverse()
    this.#closers = []
    const failed: { error: unknown }[] = []
    for (const close of closers) {
      try {
        await close()
      } catch (error) {
        failed.push({ error })
      }
    }
    if (failed[0]) throw failed[0].error
  }
}
