import { readFileSync } from 'node:fs'
import { dumpReport, type DumpResource, dumpResource, isFinished } from '@ullage/dump-job'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from './start-service.ts'
import { INSTALLED, SystemdMachine } from './systemd-machine.ts'

/** The units under a systemd that runs, installed as the document says, with all that the document hardens. */
const DOCUMENT = new URL('../../../infra/deploy/README.md', import.meta.url)
/** Not done again: the project is there with what it needs, and so is Redis. */
const DONE = /^(apt-get|cp) /
const DUMPS = '/srv/ullage/dumps'

let machine: SystemdMachine
let guest: () => string
beforeAll(async () => {
  machine = await SystemdMachine.boot()
  machine.run(installingLines())
  guest = machine.start(`${INSTALLED}/apps/worker/test/guest-in-machine.ts`)
  await until('the guest has booted', () => guest().includes('running'), 300_000)
  const socket = /^socket (.*)$/m.exec(guest())?.[1]
  const descriptor = JSON.stringify({ backend: 'virtio-balloon', source: { kind: 'qmp', socket } })
  machine.run(`echo '${descriptor}' | install -m 640 -g ullage /dev/stdin /etc/ullage/guests/web-1.json`)
  await until(
    () => `the guest is announced: ${machine.run('journalctl -o cat -u "ullage-*" | tail -n 20')}`,
    () => machine.run(curl('/v1/guests')).includes('"web-1"'),
    60_000,
  )
})
afterAll(() => machine?.[Symbol.asyncDispose]())

function installingLines(): string {
  const [, section = ''] = readFileSync(DOCUMENT, 'utf8').split('## On a host with systemd')
  const block = /^```sh\n(.*?)^```$/ms.exec(section)?.[1] ?? ''
  const lines = block.split('\n').filter((line) => !DONE.test(line))
  expect(lines.length).toBeGreaterThan(8)
  return lines.join('\n')
}

const curl = (path: string, ...options: string[]) =>
  `curl -s ${options.join(' ')} -H "Authorization: Bearer $(head -n 1 /root/ullage-key)" http://127.0.0.1:7070${path}`

function post(body: object): DumpResource {
  const sent = ['-H', 'content-type:application/json', '-d', `'${JSON.stringify(body)}'`]
  return dumpResource.parse(JSON.parse(machine.run(curl('/v1/dumps', ...sent))))
}

async function untilEnded({ id }: DumpResource): Promise<DumpResource> {
  let dump: DumpResource | undefined
  await until(
    () =>
      `the dump has ended: ${JSON.stringify(dump)} ${machine.run('journalctl -o cat -u ullage-worker | tail -n 9')}`,
    () => {
      dump = dumpResource.parse(JSON.parse(machine.run(curl(`/v1/dumps/${id}`))))
      return isFinished(dump.state)
    },
    180_000,
  )
  return dump as DumpResource
}

/** The guest's last run state. */
const status = () => guest().trim().split('\n').at(-1)

/** A dump that takes long, of the guest that stands still for as long: what its level keeps does not fit in memory. */
async function pausedByDump(): Promise<DumpResource> {
  const dump = post({ guest: 'web-1', level: 0, compression: 'zlib' })
  await until('the guest is paused', () => status() === 'paused', 60_000)
  return dump
}

test('every unit runs, none more than asked for', () => {
  for (const unit of ['ullage-redis', 'ullage-api', 'ullage-worker']) {
    expect(machine.run(`systemctl show ${unit} -p ActiveState -p NRestarts`)).toBe('NRestarts=0\nActiveState=active\n')
  }
  expect(machine.tryRun('curl -s http://127.0.0.1:7070/v1/guests')).toContain('UNAUTHENTICATED')
  expect(JSON.parse(machine.run(curl('/readyz')))).toMatchObject({ ready: true })
  expect(JSON.parse(machine.run('curl -s http://127.0.0.1:7071/readyz'))).toMatchObject({ ready: true })
})

test('a dump is made by the worker, and served and removed by the API, which is another user', async () => {
  const dump = await untilEnded(post({ guest: 'web-1' }))
  expect(dump).toMatchObject({ state: 'succeeded', attempts: 1 })
  const report = dumpReport.parse(JSON.parse(machine.run(curl(`/v1/dumps/${dump.id}/report`))))
  machine.run(curl(`/v1/dumps/${dump.id}/artifact`, '-o', '/root/vmcore'))
  expect(machine.run('sha256sum </root/vmcore')).toContain(report.artifact.sha256)
  expect(machine.run(curl(`/v1/dumps/${dump.id}`, '-X', 'DELETE', '-w', '%{http_code}'))).toBe('204')
  expect(machine.run(`ls ${DUMPS}`)).toBe('')
})

test('kill -9 of all of the service while the guest is paused: the guardian, a scope of its own, lets it run', async () => {
  const dump = await pausedByDump()
  expect(machine.run('systemctl list-units --type=scope')).toContain('guardian')
  machine.run('systemctl kill -s KILL ullage-worker')
  await until('the guest runs', () => status() === 'running', 5_000)
  expect(await untilEnded(dump)).toMatchObject({ state: 'succeeded', attempts: 2 })
  expect(machine.run('systemctl show ullage-worker -p NRestarts')).toBe('NRestarts=1\n')
})

test('stopping the service while the guest is paused: it ends in order, and the dump is made after the next start', async () => {
  const dump = await pausedByDump()
  machine.run('systemctl stop ullage-worker')
  await until('it is heard that the guest runs', () => status() === 'running', 5_000)
  expect(machine.run('systemctl show ullage-worker -p Result -p ActiveState')).toBe(
    'Result=success\nActiveState=inactive\n',
  )
  machine.run('systemctl start ullage-worker')
  expect(await untilEnded(dump)).toMatchObject({ state: 'succeeded' })
  await until('no guardian is left', () => !machine.run('systemctl list-units --type=scope').includes('guardian'))
  expect(machine.run('ls /run/ullage')).not.toContain('paused.json')
})
