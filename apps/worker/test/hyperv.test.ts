import { readFileSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { dumpReport } from '@ullage/dump-job'
import { type HypervFixture, unpackHypervFixture } from '@ullage/lab'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Service } from './start-service.ts'

/** A Hyper-V guest in files, over HTTP: its host's word by hole map, by ranges and by messages. */
const WITNESSES = ['backing', 'ranges', 'messages'] as const

let fixture: HypervFixture
let service: Service
beforeAll(async () => {
  fixture = await unpackHypervFixture()
  service = await Service.start()
  for (const witness of WITNESSES) service.describe(witness, described(witness))
  const broken = join(service.folder, 'broken.jsonl')
  writeFileSync(broken, '{"from": "guest", "hex": "01"}\n{"from": "guest", "hex": "0"}\n')
  service.describe('broken', described('messages', broken))
  await service.startWorker()
})
afterAll(() => service?.[Symbol.asyncDispose]())

/** The descriptor of the kept guest, whose files lie elsewhere. */
function described(witness: (typeof WITNESSES)[number], file?: string): object {
  const { source, ...rest } = JSON.parse(readFileSync(fixture.descriptors[witness], 'utf8')) as {
    source: Record<string, string> & { regions: { file: string }[] }
  }
  const at = (name: string) => join(fixture.dir, name)
  const regions = source.regions.map((region) => ({ ...region, file: at(region.file) }))
  const told = { [witness]: file ?? at(source[witness] ?? '') }
  return { ...rest, source: { ...source, notes: at(source['notes'] ?? ''), ...told, regions } }
}

test.each(WITNESSES)('a guest by its %s: pages, dump, report, artifact', async (witness) => {
  const pages = await service.request(`/v1/guests/${witness}/pages`)
  expect(pages.status).toBe(200)
  const offline = { backed: 0, swapped: 0, unbacked: 21_504, unknown: 0 }
  expect(await pages.json()).toMatchObject({ frames: { total: 131_072, byClass: { offline } } })

  const posted = await service.dump({ guest: witness })
  const dump = await service.untilState(posted.id, ['succeeded'])
  const report = dumpReport.parse(await (await service.request(`${dump.links.self}/report`)).json())
  expect(report.guest).toMatchObject({ backend: 'hyperv', kernel: fixture.uname })
  expect(report.consistency.mode).toBe('file')
  expect(report.frames.byClass.offline).toEqual(offline)
  const answer = await service.request(`${dump.links.self}/artifact`)
  const bytes = Buffer.from(await answer.arrayBuffer())
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(dump.result?.artifact.sha256)
})

test('messages that are none fail the dump with the line, once', async () => {
  const posted = await service.dump({ guest: 'broken' })
  const failed = await service.untilState(posted.id, ['failed'])
  expect(failed).toMatchObject({ attempts: 1, failure: { code: 'INVALID' } })
  expect(failed.failure?.message).toMatch(/broken\.jsonl:2: expected a message/)
})
