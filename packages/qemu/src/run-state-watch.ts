import type { QmpClient } from './qmp-client.ts'

/** Counts how often the guest was stopped and resumed, by whomever, since it was made. */
export class RunStateWatch implements Disposable {
  stops = 0
  resumes = 0
  readonly #end: () => void

  /** `onResume` is called at each RESUME that QEMU tells. */
  constructor(client: QmpClient, onResume: () => void = () => undefined) {
    this.#end = client.onEvent(({ name }) => {
      if (name === 'STOP') this.stops++
      if (name !== 'RESUME') return
      this.resumes++
      onResume()
    })
  }

  [Symbol.dispose](): void {
    this.#end()
  }
}
