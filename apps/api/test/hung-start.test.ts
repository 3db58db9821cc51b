import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { canMountHungFolder, mountHungFolder } from '@ullage/lab'
import { expect, test } from 'vitest'
import { ApiProcess } from './api-process.ts'

test.runIf(canMountHungFolder())(
  'an API whose folder of artifacts hangs says so and serves all else, and ends in order',
  async () => {
    await using api = new ApiProcess()
    const folder = join(api.folder, 'mount')
    mkdirSync(folder)
    using stack = new DisposableStack()
    stack.use(mountHungFolder(folder))
    const begun = performance.now()
    const url = await api.start({ ULLAGE_ARTIFACTS_DIR: join(folder, 'dumps') })
    expect(performance.now() - begun).toBeLessThan(25_000)
    expect(api.said).toContain(`the folder ${folder}/dumps did not answer within 5 s`)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect(await (await fetch(`${url}/v1/dumps`)).json()).toMatchObject({ items: [] })
    api.signal('SIGTERM')
    expect(await api.ended()).toBe(0)
    expect(api.said).toContain('"api ends"')
  },
)
