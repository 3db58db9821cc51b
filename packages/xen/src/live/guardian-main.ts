/**
 * The guardian: a process and session of its own that outlives the one that has a domain paused. See `guardDomain`. A
 * failure leaves the record, for the next start of the worker.
 */
import { guardDomain } from './guardian-loop.ts'
import { decodePauseRecord } from './pause-record.ts'
import { XenHypervisor } from './xen-hypervisor.ts'

// A service that is stopped signals all its processes: this one goes last, when the domain runs.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined)
// Whoever read these is dead when they break, which is what this process waits for.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

const [, , recordPath = '', recordText = ''] = process.argv
const record = decodePauseRecord(recordText, 'the command line of the guardian')
using hypervisor = XenHypervisor.open()
process.stdin.setEncoding('utf8')
await guardDomain({
  hypervisor,
  record,
  recordPath,
  input: process.stdin,
  say: (line) => void process.stdout.write(`${line}\n`),
})
