import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { bootGuest, crashPrints, type LabGuest, requireVmlinux } from '@ullage/lab'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../../..')
const ERA = 'trixie'
/** As the document has it. */
const SOCKET = '/run/vm/web-1.qmp'
const ADDRESS = 'http://127.0.0.1:7070'
/** Lines that fail before the last ones leave nothing running. */
const AT_THE_END = `trap 'echo "hour $HOUR"; kill $(jobs -p) $(cat "$HOUR/redis.pid") 2>/dev/null || true' EXIT`

let guest: LabGuest
let hour: string | undefined
beforeAll(async () => {
  guest = await bootGuest({ era: ERA, memMiB: 256, balloonMiB: 64 })
})
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]()
  if (hour !== undefined) rmSync(hour, { recursive: true, force: true })
})

test('the lines of the first hour lead to a dump that crash opens', async () => {
  const document = readFileSync(resolve(ROOT, 'infra/deploy/first-hour.md'), 'utf8')
  expect(document).toContain(SOCKET)
  const blocks = [...document.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block ?? '')
  expect(blocks.length).toBeGreaterThan(6)
  // The guest's socket is another one here, and so is a port that nobody else has.
  const script = ['set -em', AT_THE_END, ...blocks].join('\n')
  const here = script.replaceAll(SOCKET, guest.qmpSocket).replaceAll(ADDRESS, 'http://127.0.0.1:17070')
  const child = spawn(
    'bash',
    ['-c', here.replaceAll('ULLAGE_AUDIT_FILE', 'ULLAGE_API_LISTEN=127.0.0.1:17070 ULLAGE_AUDIT_FILE')],
    {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const [said, complained, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  hour = /^hour (\/tmp\/ullage-hour-\S+)$/m.exec(said)?.[1]
  expect([status, complained]).toEqual([0, expect.any(String)])
  expect(said).toContain('"state":"succeeded"')
  expect(said).toMatch(/web-1\.vmcore: .*good/)
  const vmcore = `${hour}/web-1.vmcore`
  expect(existsSync(vmcore)).toBe(true)
  expect(await crashPrints(requireVmlinux(ERA), vmcore, ['sys'])).toContain(guest.era.release)
  const audit = readFileSync(`${hour}/audit.jsonl`, 'utf8')
  expect(audit).toContain('"action":"POST /v1/dumps"')
  expect(await guest.status()).toBe('running')
}, 300_000)
