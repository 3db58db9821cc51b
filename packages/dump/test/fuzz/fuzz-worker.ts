import { parentPort, workerData } from 'node:worker_threads'
import { fuzzBases } from './fuzz-bases.ts'
import { emptyTally, type FuzzTask, type WorkerStart } from './fuzz-messages.ts'
import { FuzzFinding, runGuest } from './run-guest.ts'

const port = parentPort
if (!port) throw new Error('a fuzz worker is started by a fuzz fleet')
const start: WorkerStart = workerData
const bases = await fuzzBases(start.set)
const current = new Uint32Array(start.current)

port.on('message', async ({ first, count }: FuzzTask) => {
  const tally = emptyTally()
  for (let i = 0; i < count; i++) {
    const seed = (first + i) >>> 0
    Atomics.store(current, 0, seed)
    tally.guests++
    try {
      const run = await runGuest(bases, seed)
      if (run.found) tally.found++
      tally.mutations += run.mutations.length
      tally.slowestMs = Math.max(tally.slowestMs, run.ms)
      tally.mostFramesRead = Math.max(tally.mostFramesRead, run.framesRead)
      tally.mostSteps = Math.max(tally.mostSteps, run.steps)
    } catch (error) {
      if (!(error instanceof FuzzFinding)) throw error
      const cause = error.cause instanceof Error ? `\n${error.cause.stack}` : ''
      tally.findings.push(`${error.message}${cause}`)
    }
  }
  port.postMessage(tally)
})
port.postMessage('ready')
