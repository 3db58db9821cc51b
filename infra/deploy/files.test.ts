import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kubernetesObjects, pathOf, textOf } from './read-deployed.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-deploy-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

test('docker-compose takes the compose file', () => {
  const argv = ['-f', pathOf('compose/compose.yaml'), 'config', '--services']
  expect(execFileSync('docker-compose', argv, { encoding: 'utf8' }).split('\n').sort().join(' ').trim()).toBe(
    'api redis worker',
  )
})

test('what containers are built from is there', () => {
  for (const app of ['api', 'worker']) {
    const text = textOf(`compose/${app}.Dockerfile`)
    const main = /"(apps\/\w+\/src\/main\.ts)"/.exec(text)?.[1]
    expect(main && existsSync(pathOf(`../../${main}`))).toBe(true)
  }
})

/** Exposure by systemd's own reckoning, from 0 to 10, times ten: no unit may open itself further. */
test.each([
  ['ullage-api', 15],
  ['ullage-worker', 32],
  ['ullage-redis', 15],
])('systemd takes %s, and finds it no more exposed than it was', (unit, most) => {
  // The unit's node is where a host has it, not where this machine does.
  const path = join(folder, `${unit}.service`)
  writeFileSync(path, textOf(`systemd/${unit}.service`).replace('/usr/bin/node', process.execPath))
  const verified = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' })
  expect([verified.status, verified.stderr]).toEqual([0, ''])
  const exposed = spawnSync('systemd-analyze', ['security', '--offline=yes', `--threshold=${most}`, path])
  expect(exposed.status).toBe(0)
  expect(spawnSync('systemd-analyze', ['security', '--offline=yes', '--threshold=5', path]).status).not.toBe(0)
})

test('systemd takes the user and the folders', () => {
  const root = mkdtempSync(join(folder, 'root-'))
  for (const name of ['etc', 'srv']) mkdirSync(join(root, name))
  const make = (argv: string[], file: string) =>
    spawnSync(argv[0] ?? '', [...argv.slice(1), `--root=${root}`, '-'], { input: textOf(file), encoding: 'utf8' })
  const users = make(['systemd-sysusers'], 'systemd/ullage.sysusers.conf')
  expect([users.status, users.stderr]).toEqual([0, expect.stringContaining('ullage')])
  expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toMatch(/^ullage:/m)
  const folders = make(['systemd-tmpfiles', '--create'], 'systemd/ullage.tmpfiles.conf')
  expect([folders.status, folders.stderr]).toEqual([0, ''])
  expect(statSync(join(root, 'srv/ullage/dumps')).mode & 0o7777).toBe(0o2770)
})

test('kubernetes takes every object, by its own schemas', async () => {
  const objects = kubernetesObjects()
  expect(objects.length).toBeGreaterThan(10)
  for (const object of objects) {
    const module = object.apiVersion === 'v1' ? 'v1' : object.apiVersion
    const models = await import(`kubernetes-models/${module}`)
    const Model = models[object.kind]
    expect(() => new Model(object).validate()).not.toThrow()
    expect(() => new Model({ ...object, metadata: 7 }).validate()).toThrow(/metadata/)
  }
})

test('redis takes its settings, and keeps what it is given', async () => {
  const socket = join(folder, 'redis.sock')
  const argv = [pathOf('redis/redis.conf'), '--port', '0', '--unixsocket', socket, '--dir', folder]
  const redis = spawn('redis-server', argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  redis.stdout.on('data', (text) => (said += text))
  redis.stderr.on('data', (text) => (said += text))
  const ask = (...words: string[]) =>
    spawnSync('redis-cli', ['-s', socket, ...words], { encoding: 'utf8' }).stdout.trim()
  try {
    for (let tries = 0; tries < 200 && ask('ping') !== 'PONG'; tries++) await delay(50)
    expect([ask('ping'), said.includes('Fatal')]).toEqual(['PONG', false])
    for (const [name, value] of Object.entries({
      'maxmemory-policy': 'noeviction',
      appendonly: 'yes',
      appendfsync: 'everysec',
    }))
      expect(ask('config', 'get', name)).toBe(`${name}\n${value}`)
  } finally {
    redis.kill('SIGKILL')
  }
})
