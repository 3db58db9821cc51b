/** The guardian of a domain whose count of pauses is in the file that the record's handle names: for tests. */
import { guardDomain } from '../../src/live/guardian-loop.ts'
import { decodePauseRecord } from '../../src/live/pause-record.ts'
import { domainInfo, FakeHypervisor } from './fake-hypervisor.ts'
import { pauseFile } from './pause-file.ts'

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined)
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
const [, , recordPath = '', recordText = ''] = process.argv
const record = decodePauseRecord(recordText, 'argv')
const info = domainInfo({ domid: record.domid, handle: record.handle })
process.stdin.setEncoding('utf8')
await guardDomain({
  hypervisor: new FakeHypervisor({ info, frames: new Map() }, pauseFile(`${recordPath}.count`)),
  record,
  recordPath,
  input: process.stdin,
  say: (line) => void process.stdout.write(`${line}\n`),
})
