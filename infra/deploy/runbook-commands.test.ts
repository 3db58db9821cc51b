import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DeployedServices } from './deployed-services.ts'
import { deployedSettings, textOf } from './read-deployed.ts'

const runbook = textOf('runbook.md')
/** What the runbook's commands are made of. */
const definitions = /^```sh\n(.*?)^```$/ms.exec(runbook)?.[1] ?? ''
const commands = (name: string) => [...new Set(runbook.match(new RegExp(`(?<=\`)${name} [^\`]+(?=\`)`, 'g')))]
const defaultOf = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(definitions)?.[1] ?? ''

let services: DeployedServices
beforeAll(async () => {
  services = await DeployedServices.start()
}, 120_000)
afterAll(() => services?.[Symbol.asyncDispose]())

/** What a command says after the definitions, which ask for the key; with the addresses of this test. */
function run(command: string, key = services.key): string {
  const { apiUrl, workerUrl, redisSocket } = services
  const script = [['API', apiUrl] as const, ['WORKER', workerUrl] as const, ['REDIS', redisSocket] as const]
    .reduce((text, [name, here]) => text.replace(`${name}=${defaultOf(name)}\n`, `${name}=${here}\n`), definitions)
    .concat(command.replaceAll('ID', randomUUID()))
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-euc', script], {
    input: `${key}\n`,
    encoding: 'utf8',
  })
  expect([status, stderr]).toEqual([0, ''])
  return stdout
}

test('the addresses that the runbook has are those of the settings beside it', () => {
  const { systemd: api } = deployedSettings('api')
  const { systemd: worker } = deployedSettings('worker')
  expect(defaultOf('API')).toBe(`http://${api?.ULLAGE_API_LISTEN}`)
  expect(defaultOf('WORKER')).toBe(`http://${worker?.ULLAGE_WORKER_LISTEN}`)
  expect(`unix://${defaultOf('REDIS')}`).toBe(api?.ULLAGE_REDIS_URL)
  expect(textOf('redis/redis.conf')).toContain(`unixsocket ${defaultOf('REDIS')}\n`)
})

test('nothing goes around the definitions', () => {
  const [before, after] = runbook.split(definitions)
  // In containers and in Kubernetes Redis is elsewhere.
  const elsewhere = /`redis_cli\(\) \{ docker-compose [^`]+`|`redis-cli -u`/g
  expect(before).not.toMatch(/curl|redis-cli/)
  expect(after?.match(elsewhere)).toHaveLength(2)
  expect(after?.replaceAll(elsewhere, '')).not.toMatch(/curl|redis-cli|\$API|\$WORKER|\$REDIS/)
})

test('the API answers what the runbook asks it, and not without the key', () => {
  const asked = commands('api')
  expect(asked.length).toBeGreaterThan(4)
  for (const command of asked) {
    const [, body = '', status] = /^(.*) (\d+)$/s.exec(run(`${command} -w ' %{http_code}'`)) ?? []
    const code = status === '404' ? JSON.parse(body).code : undefined
    expect([command, status, code]).toEqual(
      command.includes('ID')
        ? [command, '404', expect.stringMatching(/^(DUMP|GUEST)_UNKNOWN$/)]
        : [command, '200', undefined],
    )
    expect(run(`${command} -w ' %{http_code}'`, 'ullage_none')).toMatch(/ 401$/)
  }
  expect(JSON.parse(run('api /v1/hosts')).items).toMatchObject([{ host: 'host-1', reachable: true }])
})

test('the worker says whether it takes jobs', () => {
  expect(commands('worker')).toEqual(['worker /readyz'])
  expect(JSON.parse(run('worker /readyz'))).toHaveProperty('reason')
})

test('Redis does what the runbook tells it', () => {
  const asked = commands('redis_cli')
  expect(asked.length).toBeGreaterThan(3)
  const said = new Map(asked.map((command) => [command, run(command)]))
  for (const answer of said.values()) expect(answer).not.toMatch(/ERR|Could not connect/)
  expect(said.get('redis_cli ping')).toBe('PONG\n')
  expect(said.get('redis_cli config get maxmemory-policy')).toContain('noeviction')
  expect(run('redis_cli config get maxmemory')).toContain('1073741824')
})
