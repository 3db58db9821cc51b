import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/**
 * A frame of the host that is looked up by its number may be another page's by then: what a process's memory holds is asked of
 * the process's own addresses, in one step.
 */
const root = new URL('../..', import.meta.url).pathname
const BY_NUMBER = /\bkpage(?:flags|count|cgroup)\b|\bpage_idle\b|\/dev\/mem\b|\/proc\/kcore\b/

test('nothing that runs looks up a frame of the host by its number', () => {
  const sources = globSync('{packages,apps}/*/src/**/*.ts', { cwd: root }).filter(
    (file) => !file.startsWith('packages/lab/') && !file.endsWith('.test.ts'),
  )
  expect(sources.length).toBeGreaterThan(400)
  expect(sources).toContain('packages/host-memory/src/pagemap.ts')
  expect(sources.filter((file) => BY_NUMBER.test(readFileSync(join(root, file), 'utf8')))).toEqual([])
})

test.each(["openSync('/proc/kpageflags', 'r')", "'/sys/kernel/mm/page_idle/bitmap'", "open('/dev/mem')"])(
  'this would be found: %s',
  (line) => {
    expect(BY_NUMBER.test(line)).toBe(true)
  },
)
