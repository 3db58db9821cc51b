import { openVmcore, verifyVmcore, describeVmcore } from '@ullage/vmcore'
import { decompress } from './test/page-codecs.ts'
for (const f of process.argv.slice(2)) {
  try {
    const t = performance.now()
    await using v = await openVmcore(f, { decompress })
    console.log(f, JSON.stringify(await describeVmcore(v)).slice(0, 900))
    console.log(JSON.stringify(await verifyVmcore(v)), Math.round(performance.now() - t), 'ms')
  } catch (e) {
    console.log(f, e)
  }
}
