import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startRedis } from '@ullage/lab'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from './start-service.ts'

/** No container runs here: what the images are made of and what they start is run in a folder instead. */
const ROOT = resolve(import.meta.dirname, '../../..')
const ADDRESS = '127.0.0.1:17071'

const apps = ['api', 'worker'] as const
const dockerfileOf = (app: string) => readFileSync(join(ROOT, `infra/deploy/compose/${app}.Dockerfile`), 'utf8')

let folder: string
let image: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-image-'))
  image = join(folder, 'opt')
  mkdirSync(image)
  const listed = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate']
  const input = execFileSync('git', listed, { cwd: ROOT })
  const packed = execFileSync('tar', ['--null', '-T', '-', '-cf', '-'], { cwd: ROOT, input, maxBuffer: 2 ** 30 })
  execFileSync('tar', ['-xf', '-', '-C', image], { input: packed })
  const installs = apps.map((app) => /npm ci [^\\\n]+/.exec(dockerfileOf(app))?.[0] ?? '')
  expect(installs[0]).toContain('--omit=dev')
  expect(installs[1]).toBe(installs[0])
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    NODE_ENV: 'production',
    npm_config_prefer_offline: 'true',
  }
  execFileSync('sh', ['-c', installs[0] ?? ''], { cwd: image, env, stdio: 'pipe' })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs what an image runs, with nothing in its environment but these settings. */
function start(app: (typeof apps)[number], settings: Record<string, string>) {
  const argv: unknown = JSON.parse(/^CMD (\[.+\])$/m.exec(dockerfileOf(app))?.[1] ?? '')
  const [program = '', ...args] = argv as string[]
  expect(program).toBe('node')
  const env = { PATH: process.env.PATH, NODE_ENV: 'production', ...settings }
  const child = spawn(process.execPath, args, { cwd: image, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
  return {
    said: () => said,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

test('what the images install is enough for what they start', async () => {
  await using redis = await startRedis()
  const made = (name: string) => {
    mkdirSync(join(folder, name))
    return join(folder, name)
  }
  const common = { ULLAGE_REDIS_URL: redis.url, ULLAGE_ARTIFACTS_DIR: made('dumps') }
  await using api = start('api', { ...common, ULLAGE_STATE_DIR: made('api'), ULLAGE_API_LISTEN: ADDRESS })
  const ofWorker = { ULLAGE_STATE_DIR: made('worker'), ULLAGE_GUESTS_DIR: made('guests'), ULLAGE_HOST_ID: 'h1' }
  await using worker = start('worker', { ...common, ...ofWorker })
  await until(
    () => `the host is there: ${api.said()}${worker.said()}`,
    async () => {
      const answer = await fetch(`http://${ADDRESS}/v1/hosts`).catch(() => undefined)
      return (await answer?.text())?.includes('"reachable":true') === true
    },
  )
  expect((await fetch(`http://${ADDRESS}/readyz`)).status).toBe(200)
  expect((await fetch(`http://${ADDRESS}/docs`)).status).toBe(200)
})
