import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { canMountHungFolder, mountHungFolder } from '@ullage/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Service, until } from './start-service.ts'

const DOUBLE = new URL('./double-worker.ts', import.meta.url)

describe.runIf(canMountHungFolder())('a worker with a folder that hangs when it starts', () => {
  let service: Service
  beforeAll(async () => {
    service = await Service.start()
  })
  afterAll(() => service[Symbol.asyncDispose]())

  test.each(['ULLAGE_ARTIFACTS_DIR', 'ULLAGE_GUESTS_DIR'])(
    'waits for that of %s and says so, and takes jobs when it answers',
    async (setting) => {
      const folder = join(service.folder, setting)
      mkdirSync(folder)
      const hung = mountHungFolder(folder)
      try {
        const env = { ULLAGE_HOST_ID: 'h1', ULLAGE_WORKER_LISTEN: '127.0.0.1:0', [setting]: folder }
        const worker = service.start(DOUBLE, env)
        await until(
          () => `it says what it waits for: ${worker.log()}`,
          () => worker.log().includes('the folder does not answer'),
        )
        expect(worker.log()).toContain(`"setting":"${setting}"`)
        const url = /"url":"([^"]+)"/.exec(worker.log())?.[1] ?? ''
        expect((await fetch(`${url}/healthz`)).status).toBe(200)
        const ready = await fetch(`${url}/readyz`)
        expect([ready.status, await ready.json()]).toEqual([
          503,
          { ready: false, reason: expect.stringContaining(`it waits for the folder of ${setting}`) },
        ])
        hung[Symbol.dispose]()
        await until(
          () => `it takes jobs: ${worker.log()}`,
          () => worker.log().includes('"worker ready"'),
        )
        expect(worker.log().match(/the folder does not answer/g)).toHaveLength(1)
        await worker.kill('SIGTERM')
        expect(worker.process.exitCode).toBe(0)
      } finally {
        hung[Symbol.dispose]()
      }
    },
  )

  test('hears SIGTERM, though the folder is never answered for', async () => {
    const folder = join(service.folder, 'never')
    mkdirSync(folder)
    using stack = new DisposableStack()
    stack.use(mountHungFolder(folder))
    const env = { ULLAGE_HOST_ID: 'h1', ULLAGE_WORKER_LISTEN: '127.0.0.1:0', ULLAGE_ARTIFACTS_DIR: folder }
    const worker = service.start(DOUBLE, env)
    await until(
      () => `it is there: ${worker.log()}`,
      () => worker.log().includes('metrics and health are served'),
    )
    const told = performance.now()
    await worker.kill('SIGTERM')
    expect(performance.now() - told).toBeLessThan(5_000)
    expect(worker.process.exitCode).toBe(0)
  })
})
