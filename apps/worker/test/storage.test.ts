import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decryptFile, Keyring, readKeyFile } from '@ullage/artifact-store'
import { kindOf } from '@ullage/lab'
import { expect, test, vi } from 'vitest'
import { expectWhole, files, keyFile, onS3, proxy, server, service, start } from './storage-service.ts'

vi.setConfig({ testTimeout: 300_000 })

/** Dumps of a kept guest, by the real engine, to an S3 server and to a folder, encrypted in both. */
function damage(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] as number) ^ 1
  writeFileSync(path, bytes)
}

test('S3, encrypted: parts go while the dump is written; what is served is whole; deleting it leaves nothing', async () => {
  // Time enough for a busy machine: nothing is to fail here.
  await start({ ...onS3(), ULLAGE_S3_TIMEOUT_SECONDS: '30' })
  const posted = await service.dump({ guest: 'kept', level: 1, compression: 'none' })
  const dump = await service.untilState(posted.id, ['succeeded'], 240_000)
  await expectWhole(dump)
  const parts = proxy.seen
    .filter(({ url }) => kindOf(url) === 'part')
    .map(({ url }) => /partNumber=(\d+)/.exec(url)?.[1])
  expect(parts.length).toBeGreaterThan(3)
  // Header and descriptors are known last, and stand first.
  expect(parts[0]).not.toBe('1')
  expect(readdirSync(join(service.folder, 'state/spool'))).toEqual([])
  expect((await service.request(`/v1/dumps/${dump.id}`, { method: 'DELETE' })).status).toBe(204)
  proxy.reset()
  expect(await server.objects('bucket')).toEqual([])
})

test('a folder, encrypted: what is served is whole, what is kept is not readable, ullage decrypt gives it back', async () => {
  await start({ ULLAGE_KEY_FILE: keyFile })
  const posted = await service.dump({ guest: 'kept' })
  const dump = await service.untilState(posted.id, ['succeeded'], 240_000)
  await expectWhole(dump)
  const kept = join(service.artifactsDir, dump.id, 'vmcore')
  expect(readFileSync(kept).includes('Linux version')).toBe(false)
  const out = join(files, 'decrypted')
  await decryptFile(kept, out, { keys: new Keyring([readKeyFile(keyFile)]) })
  expect(createHash('sha256').update(readFileSync(out)).digest('hex')).toBe(dump.result?.artifact.sha256)
  const address = `${dump.links.self}/artifact`
  damage(kept, 3_000_000)
  // The head is sent by then: the connection is cut off before the first byte that is wrong.
  await expect(service.request(address).then((answer) => answer.arrayBuffer())).rejects.toThrow(/terminated|aborted/)
  damage(kept, 100_000)
  const refused = await service.request(address)
  expect(refused.status).toBe(500)
  expect(await refused.json()).toMatchObject({ code: 'ARTIFACT_UNREADABLE' })
  expect(readdirSync(join(service.folder, 'state/spool'))).toEqual([])
})

test('S3 that is away is said to be so to who downloads; what is cut off is asked for again', async () => {
  await start(onS3())
  const posted = await service.dump({ guest: 'kept' })
  const dump = await service.untilState(posted.id, ['succeeded'])
  proxy.reset()
  proxy.choose = ({ method, url, nth }) =>
    method === 'GET' && kindOf(url) === 'artifact' && nth === 2 ? 'cutAnswer' : 'pass'
  await expectWhole(dump)
  proxy.choose = () => 'answer500'
  const answer = await service.request(`${dump.links.self}/artifact`)
  expect(answer.status).toBe(503)
  expect(await answer.json()).toMatchObject({ code: 'STORE_UNAVAILABLE' })
})
