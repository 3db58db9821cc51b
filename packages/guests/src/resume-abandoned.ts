import type { AbandonedGuest } from './backend.ts'
import { backends } from './backends.ts'

/**
 * Resumes every guest, of whatever backend, that a process which is no longer there has paused and that its guardian could
 * not resume. To be called when a worker starts. Returns what became of each; a failure is in its entry.
 *
 * @param stateDir as in `OpenOptions`.
 */
export async function resumeAbandoned(stateDir: string): Promise<AbandonedGuest[]> {
  const guests: AbandonedGuest[] = []
  for (const load of Object.values(backends)) guests.push(...(await (await load()).resumeAbandoned(stateDir)))
  return guests
}
