import type { GuestAgent } from './guest-agent.ts'

/** What `agent` answers; when that takes longer, it is closed, so that whoever waits for it is told that it hangs. */
export async function answerWithin<T>(timeoutMs: number, agent: GuestAgent, answer: Promise<T>): Promise<T> {
  const late = setTimeout(() => agent.close(`it has said nothing for ${timeoutMs / 1000} s`), timeoutMs)
  try {
    return await answer
  } finally {
    clearTimeout(late)
  }
}
