/** Pauses the guest of argv[2] with the state folder argv[3], says so and what QEMU tells, and waits to be killed. */
import { lockGuest, pauseGuest, QmpClient } from '@ullage/qemu'

const [, , socketPath = '', stateDir = ''] = process.argv
const lock = lockGuest(socketPath, { stateDir })
process.stdout.write('pausing\n')
const client = await QmpClient.connect(socketPath)
const pause = await pauseGuest(client, { stateDir, lockFd: lock.fd })
process.stdout.write(`${JSON.stringify({ mode: pause.mode, guardianPid: pause.guardianPid })}\n`)
client.onEvent(({ name }) => process.stdout.write(`${name}\n`))
setInterval(() => undefined, 60_000)
