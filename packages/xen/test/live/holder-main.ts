/** Pauses the scripted domain whose record is to be argv[2], says so, and waits to be killed. */
import { DomainPause } from '../../src/live/domain-pause.ts'
import { domainInfo, FakeHypervisor } from './fake-hypervisor.ts'
import { pauseFile } from './pause-file.ts'

const [, , recordPath = ''] = process.argv
const hypervisor = new FakeHypervisor({ info: domainInfo(), frames: new Map() }, pauseFile(`${recordPath}.count`))
const info = hypervisor.info(7)
if (!info) throw new Error('no domain')
const main = new URL('./fake-guardian-main.ts', import.meta.url)
const pause = await DomainPause.take(hypervisor, info, { recordPath, main })
process.stdout.write(`${JSON.stringify({ mode: pause.mode, guardianPid: pause.guardianPid })}\n`)
setInterval(() => undefined, 60_000)
