import type { ConformanceOptions, ConformanceRunner } from './conformance-fixture.ts'
import { lifecycleChecks } from './lifecycle-checks.ts'
import { readingChecks } from './reading-checks.ts'
import { skippingChecks } from './skipping-checks.ts'
import { statesChecks } from './states-checks.ts'

/**
 * Registers, with the runner's `describe` and `it`, the tests that every backend must pass. Each test opens the fixture anew
 * and disposes of it. Takes the test runner as an argument and imports none.
 */
export function offlineQueryConformance(runner: ConformanceRunner, options: ConformanceOptions): void {
  runner.describe(`${options.name}: what every backend promises`, () => {
    statesChecks(runner, options)
    skippingChecks(runner, options)
    readingChecks(runner, options)
    lifecycleChecks(runner, options)
  })
}
