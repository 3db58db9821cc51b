import type { QmpClient } from './qmp-client.ts'

/** Counts how often the guest was stopped and resumed, by whomever, since it was made. */
export class RunStateWatch implements Disposable {
  stops = 0
  resumes = 0
  /** For how many milliseconds it stood still between a STOP and the RESUME after it, in all. */
  stoodMs = 0
  #stoppedAtMs: number | undefined
  readonly #end: () => void

  /** `onResume` is called at each RESUME that QEMU tells. */
  constructor(client: QmpClient, onResume: () => void = () => undefined) {
    this.#end = client.onEvent(({ name, timeMs }) => {
      if (name === 'STOP') {
        this.stops++
        this.#stoppedAtMs = timeMs
      }
      if (name !== 'RESUME') return
      this.resumes++
      if (this.#stoppedAtMs !== undefined) this.stoodMs += Math.max(0, timeMs - this.#stoppedAtMs)
      this.#stoppedAtMs = undefined
      onResume()
    })
  }

  [Symbol.dispose](): void {
    this.#end()
  }
}
