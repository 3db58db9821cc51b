import { pino } from 'pino'
import { expect, test } from 'vitest'
import { Journal } from './journal.ts'
import { ApiProblem } from './problem.ts'
import { readinessOf } from './readiness.ts'

test('of a fault everybody is told the kind, and the log the reason, once', async () => {
  using journal = new Journal(':memory:')
  const lines: string[] = []
  const log = pino({}, { write: (line) => lines.push(line) })
  let cause: Error | undefined = new Error('getaddrinfo ENOTFOUND redis-7.dc3.example')
  let refused: 'login' | undefined
  let refusedWrite: string | undefined
  const look = readinessOf({
    journal,
    knownHosts: async () => {
      if (cause) throw new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time', { cause })
      return []
    },
    writeProbe: async () => refusedWrite,
    refusal: () => refused,
    log,
  })
  const away = { ready: false, journal: 'ok', queue: 'redis does not answer' }
  expect([await look(), await look()]).toEqual([away, away])
  refused = 'login'
  expect(await look()).toEqual({ ...away, queue: 'redis refuses this process (login)' })
  refused = undefined
  cause = undefined
  refusedWrite = 'OOM'
  const full = { ...away, queue: 'redis takes no writes (OOM)' }
  expect([await look(), await look()]).toEqual([full, full])
  refusedWrite = undefined
  expect(await look()).toEqual({ ready: true, journal: 'ok', queue: 'ok' })
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { msg: 'redis does not answer', reason: 'redis did not answer in time: getaddrinfo ENOTFOUND redis-7.dc3.example' },
    { msg: 'redis takes no writes (OOM)' },
    { msg: 'it is over that redis takes no writes (OOM)' },
  ])
})

test('a journal that cannot be written says no path to everybody', async () => {
  using journal = new Journal(':memory:')
  journal.check = () => {
    throw new Error('unable to open /var/lib/ullage/journal.sqlite')
  }
  const look = readinessOf({
    journal,
    knownHosts: async () => [],
    writeProbe: async () => undefined,
    log: pino({ level: 'silent' }),
  })
  expect(await look()).toEqual({ ready: false, journal: 'the journal cannot be written', queue: 'ok' })
})
