// Started by lab.test.ts, which kills it: boots a guest and a Redis, says where they are, and waits for its end.
import { bootGuest, startRedis } from '@ullage/lab'

const guest = await bootGuest({ era: 'bookworm', balloonMiB: 64 })
const redis = await startRedis()
const { pid, folder, ramFiles } = guest
console.log(JSON.stringify({ pids: [pid, redis.pid], paths: [folder, redis.folder, ...ramFiles] }))
setInterval(() => guest.status(), 1000)
