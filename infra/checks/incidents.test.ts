import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/** The table of incidents names tests that are there. */
const root = new URL('../..', import.meta.url).pathname
const readme = readFileSync(join(root, 'apps/worker/test/faults/README.md'), 'utf8')
const rows = [...readme.matchAll(/^\| (I\d+) \| [^|]+ \| ([^|]+) \|$/gm)].map(([, id = '', tests = '']) => ({
  id,
  tests,
  files: [...tests.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file),
}))

test('every incident has a row, once', () => {
  expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 24 }, (_, index) => `I${index + 1}`))
})

test('each row names tests that are there, or says that there is none', () => {
  const missing = rows.flatMap(({ id, files }) =>
    files.filter((file) => !file.endsWith('.test.ts') || !existsSync(join(root, file))).map((file) => `${id}: ${file}`),
  )
  expect(missing).toEqual([])
  expect(rows.filter(({ files, tests }) => files.length === 0 && !tests.startsWith('none: '))).toEqual([])
})

test('the table of faults names files that are there', () => {
  const files = [...readme.matchAll(/`([\w-]+(?:\.long)?\.test\.ts)`/g)].map(([, file = '']) => file)
  expect(files.length).toBeGreaterThan(5)
  expect(files.filter((file) => !existsSync(join(root, 'apps/worker/test/faults', file)))).toEqual([])
})
