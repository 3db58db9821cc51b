import type { ServerResponse } from 'node:http'

/** Calls `then` when the answer is closed, by whomever; at once where it is. */
export function whenClosed(response: ServerResponse, then: () => void): void {
  if (response.closed) then()
  else response.once('close', then)
}
