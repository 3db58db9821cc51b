/** Pauses a domain of this host with the state folder argv[3], says so, and waits to be killed. */
import { openXen } from '@ullage/xen'

const [, , domain = '', stateDir = ''] = process.argv
const guest = await openXen({ kind: 'domain', domain }, { baseDir: '/', stateDir })
const lease = await guest.pause()
console.log(JSON.stringify({ mode: lease.mode, pid: process.pid }))
setInterval(() => undefined, 60_000)
