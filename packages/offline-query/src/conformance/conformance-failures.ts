import type { ConformanceOptions } from './conformance-fixture.ts'
import { offlineQueryConformance } from './offline-query-conformance.ts'

/**
 * Runs the suite without a test runner and returns the tests that fail, each as its group and its name. Proves that the
 * suite notices a backend that is wrong.
 */
export async function conformanceFailures(options: ConformanceOptions): Promise<string[]> {
  const tests: { name: string; body: () => Promise<void> }[] = []
  const groups: string[] = []
  const runner = {
    describe(name: string, body: () => void) {
      groups.push(name)
      body()
      groups.pop()
    },
    it(name: string, body: () => Promise<void>) {
      tests.push({ name: `${groups.at(-1)} ${name}`, body })
    },
  }
  offlineQueryConformance(runner, options)
  const failed: string[] = []
  for (const { name, body } of tests) {
    try {
      await body()
    } catch {
      failed.push(name)
    }
  }
  return failed
}
