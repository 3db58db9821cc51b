import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { decompress } from '../test/page-codecs.ts'
import { temporaryFolder } from '../test/temporary-folder.ts'
import { fillByPfn, writeDump } from '../test/write-dump.ts'
import { openVmcore } from './open-vmcore.ts'
import { verifyVmcore } from './verify-vmcore.ts'

const refused = vi.hoisted(() => ({ asked: 0, allowed: 1 }))

vi.mock('node:worker_threads', async (original) => {
  const { Worker, ...rest } = await original<typeof import('node:worker_threads')>()
  class ScarceWorker extends Worker {
    constructor(...options: ConstructorParameters<typeof Worker>) {
      if (++refused.asked > refused.allowed) {
        throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
      }
      super(...options)
    }
  }
  return { ...rest, Worker: ScarceWorker }
})

const dir = temporaryFolder()
const module = new URL('../test/check-pages-worker.ts', import.meta.url)

test.each([0, 1])('a vmcore is verified where only %i threads can be started', async (allowed) => {
  const path = join(dir, String(allowed))
  const stored = [{ start: 4, count: 6000 }]
  await writeDump(path, {
    format: 'kdump',
    compression: 'zstd',
    present: stored,
    stored,
    fill: fillByPfn,
    batchPages: 1000,
  })
  Object.assign(refused, { asked: 0, allowed })
  await using vmcore = await openVmcore(path, { decompress })
  const summary = await verifyVmcore(vmcore, { threads: { jobs: 4, module, bytesEach: 1 << 20 } })
  expect(summary.pages).toBe(6000)
  expect(refused.asked).toBe(allowed + 1)
})
