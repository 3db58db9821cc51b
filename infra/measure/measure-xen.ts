// Dumps of the same live Xen guests by Ullage and by xl, in the same emulated first domain: seconds, sizes, hypercalls.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DumpReport } from '@ullage/dump'
import { bootXenHost, type XenDomain, type XenHost } from '@ullage/lab'

const MEM_MIB = 256
const LEFT_MIB = 112

interface Measured {
  readonly guest: string
  readonly what: string
  readonly seconds: number
  /** Of `seconds`, what the dump itself took by its own report: the rest is the start of Node and of the program. */
  readonly dumpSeconds?: number
  readonly mebibytes: number
  readonly hypercalls?: number
}

async function measure(host: XenHost, domain: XenDomain): Promise<Measured[]> {
  const guest = domain.name
  // Both write to RAM. What xl writes it has mapped of the guest, and a folder shared by 9p does not take that.
  const mebibytes = async (file: string): Promise<number> =>
    Number(await host.exec(`stat -c %s /run/${file}; rm /run/${file}`)) / 2 ** 20
  const checked = async (call: string): Promise<number> => {
    const { status, stderr, seconds } = await host.run(call)
    if (status !== 0) throw new Error(`${call} ended with status ${status}: ${stderr}`)
    return seconds
  }
  const measured: Measured[] = []
  for (const [what, options] of [
    ['ullage dump --level 31, guest first', '--level 31 --trust guest'],
    ['ullage dump --level 31, every frame asked', '--level 31 --trust both'],
    ['ullage dump --level 0, guest first', '--level 0 --trust guest'],
    ['ullage dump --level 0, every frame asked', '--level 0 --trust both'],
  ] as const) {
    const seconds = await checked(
      `ullage dump ${guest}.json -o /run/dump --report /run/report.json ${options} && mv /run/report.json .`,
    )
    const report = JSON.parse(readFileSync(join(host.share, 'report.json'), 'utf8')) as DumpReport
    measured.push({
      guest,
      what,
      seconds,
      dumpSeconds: report.timingsMs.total / 1000,
      mebibytes: await mebibytes('dump'),
      hypercalls: report.hypervisor?.questions ?? Number.NaN,
    })
  }
  const seconds = await checked(`xl dump-core ${guest} /run/core`)
  measured.push({ guest, what: 'xl dump-core', seconds, mebibytes: await mebibytes('core') })
  return measured
}

function table(rows: readonly Measured[]): string {
  const core = new Map(rows.filter(({ what }) => what === 'xl dump-core').map((row) => [row.guest, row.seconds]))
  const lines = rows.map(({ guest, what, seconds, dumpSeconds, mebibytes, hypercalls }) =>
    [
      guest,
      what,
      seconds.toFixed(1),
      (seconds / (core.get(guest) ?? Number.NaN)).toFixed(3),
      dumpSeconds?.toFixed(1) ?? '',
      mebibytes.toFixed(1),
      hypercalls ?? '',
    ].join(' | '),
  )
  const head = 'guest | what | seconds | of xl dump-core | without start-up | MiB | hypercalls'
  return [head, head.replace(/[^|]+/g, ' --- ').trim(), ...lines].map((line) => `| ${line} |`).join('\n')
}

await using host = await bootXenHost()
const rows: Measured[] = []
for (const type of ['pv', 'pvh'] as const) {
  const domain = await host.boot({ name: type, type, era: 'bookworm', memMiB: MEM_MIB })
  await domain.fillHeap(1024)
  await domain.balloon(LEFT_MIB)
  await domain.pause()
  const descriptor = { backend: 'xen', source: { kind: 'domain', domain: type } }
  writeFileSync(join(host.share, `${type}.json`), JSON.stringify(descriptor))
  // The first run compiles; what is compiled is kept.
  await host.run(`ullage dump ${type}.json --dry-run > /dev/null`)
  process.stderr.write(`${type} domain of ${MEM_MIB} MiB, ballooned to ${LEFT_MIB} MiB, paused\n`)
  rows.push(...(await measure(host, domain)))
  await domain.destroy()
}
process.stdout.write(`${table(rows)}\n`)
