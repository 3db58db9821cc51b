import { appendFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { FaultBench } from './fault-bench.ts'
import { type Findings, whatTheServiceTells } from './what-the-service-tells.ts'

/** How often each fault is done, and the file to which a line of JSON is added for each time. Set by `npm run faults`. */
const TIMES = Number(process.env.ULLAGE_FAULTS_TIMES ?? 1)
const RESULTS = process.env.ULLAGE_FAULTS_RESULTS

/** Most that one time may take, in milliseconds. */
const ONCE_WITHIN_MS = 240_000

/** One time that a fault was tried, as a line of results. */
export interface FaultResult extends Findings {
  readonly fault: string
}

/** Harms the service, and returns when the fault is over and what was killed runs again. */
export type Harm = (bench: FaultBench) => Promise<void>

export interface FaultOptions {
  /** Ends what the harm began, also where that went otherwise than expected. */
  readonly mend?: () => void
  /** Most that one time may take, in milliseconds. */
  readonly onceWithinMs?: number
}

/**
 * A test that harms the service on `bench` and then holds it to everything that must be so whatever has happened.
 */
export function fault(name: string, bench: () => FaultBench, harm: Harm, options: FaultOptions = {}): void {
  const { mend, onceWithinMs = ONCE_WITHIN_MS } = options
  test(
    `${name}`,
    async () => {
      for (let time = 0; time < TIMES; time++) {
        bench().begin()
        const findings = await tryOnce(bench(), harm, mend)
        record({ fault: name, ...findings })
        expect(findings).toEqual({
          guestsLeftPaused: 0,
          partialArtifacts: 0,
          jobsLost: 0,
          doublePublications: 0,
          wrong: [],
        })
      }
    },
    TIMES * onceWithinMs,
  )
}

/** What did not go as the fault's own test expects is a finding, too: what is left behind then counts all the more. */
async function tryOnce(bench: FaultBench, harm: Harm, mend: FaultOptions['mend']): Promise<Findings> {
  const unexpected: string[] = []
  await harm(bench).catch((error: unknown) => {
    unexpected.push(error instanceof Error ? error.message : String(error))
  })
  mend?.()
  const findings = await whatTheServiceTells(bench)
  return { ...findings, wrong: [...unexpected, ...findings.wrong] }
}

function record(result: FaultResult): void {
  if (RESULTS !== undefined) appendFileSync(RESULTS, `${JSON.stringify(result)}\n`)
}
