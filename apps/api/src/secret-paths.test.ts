import { pino } from 'pino'
import { expect, test } from 'vitest'
import { secretPaths } from './secret-paths.ts'

test("an error of Redis's client is logged without the command that has the password", () => {
  const refused = Object.assign(new Error('WRONGPASS invalid username-password pair'), {
    command: { name: 'hello', args: ['3', 'AUTH', 'ullage', 'my-secret'] },
  })
  const allFailed = Object.assign(new Error('Failed to refresh slots cache.'), { lastNodeError: refused })
  const lines: string[] = []
  const log = pino({ redact: secretPaths }, { write: (line) => lines.push(line) })
  for (const err of [refused, allFailed, new AggregateError([allFailed])]) log.error({ err }, 'redis')
  expect(lines).toHaveLength(3)
  expect(lines.join('')).toContain('WRONGPASS')
  expect(lines.join('')).not.toContain('my-secret')
})
