import { expect, test } from 'vitest'
import { onceWritesAreTaken } from './once-writes-are-taken.ts'

test('what Redis refuses for now is asked again until it is taken, and each reason is told once', async () => {
  const answers = [
    "OOM command not allowed when used memory > 'maxmemory'.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    'NOREPLICAS Not enough good replicas to write.',
  ]
  const refused: string[] = []
  const ask = async () => {
    const answer = answers.shift()
    if (answer !== undefined) throw new Error(answer)
    return 'taken'
  }
  expect(await onceWritesAreTaken(ask, { onRefused: (code) => refused.push(code), tryEveryMs: 1 })).toBe('taken')
  expect(refused).toEqual(['OOM', 'NOREPLICAS'])
})

test('what will not pass is thrown', async () => {
  const ask = () => Promise.reject(new Error('NOPERM this user has no permissions'))
  await expect(onceWritesAreTaken(ask, { onRefused: () => undefined })).rejects.toThrow('NOPERM')
})
