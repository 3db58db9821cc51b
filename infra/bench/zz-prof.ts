import { bootBenchGuest } from './guest/bench-guest.ts'
import { stopGuest } from './guest/stopped-guest.ts'
import { dumpElf } from './peers.ts'
const signal = new AbortController().signal
const { guest } = await bootBenchGuest({ memMiB: 4096, balloonMiB: 1024, contentMiB: 1664 } as never, signal)
const s = await stopGuest(guest)
await dumpElf(guest, s.elf)
s.holes.restore()
s.describeElf()
console.log(s.folder)
setInterval(() => {}, 1e6)
