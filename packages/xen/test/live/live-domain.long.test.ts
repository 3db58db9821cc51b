import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  bootXenHost,
  crashPrints,
  framesWithFlag,
  type GuestTruth,
  type HeapPage,
  KPF,
  requireVmlinux,
  type RunResult,
  type XenDomain,
  type XenHost,
} from '@ullage/lab'
import type { BackingRun, RamExtent } from '@ullage/offline-query'
import { endOf } from '@ullage/pages'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const NODE = 'node --conditions=@ullage/source /ullage/packages/xen/test/live'
const FRAMES = 65536
const BALLOONED = 36864

let host: XenHost
beforeAll(async () => {
  host = await bootXenHost()
})
afterAll(() => host?.[Symbol.asyncDispose]())

/** Runs a command line in the control domain; throws with what it said when it fails. */
async function run(commandLine: string): Promise<RunResult> {
  const result = await host.run(commandLine)
  if (result.status !== 0)
    throw new Error(`${commandLine}: status ${result.status}\n${result.stdout}\n${result.stderr}`)
  return result
}

/** Writes a descriptor and returns its path in the control domain. */
function descriptor(name: string, source: object = {}): string {
  mkdirSync(join(host.share, 'descriptors'), { recursive: true })
  const content = { backend: 'xen', source: { kind: 'domain', domain: name, ...source } }
  writeFileSync(join(host.share, 'descriptors', `${name}${Object.keys(source).length}.json`), JSON.stringify(content))
  return `/share/descriptors/${name}${Object.keys(source).length}.json`
}

interface Report {
  readonly hypervisor: {
    readonly questions: number
    readonly totalFramesBefore: number
    readonly totalFramesAfter: number
    readonly populateOnDemandBefore?: { readonly entries: number }
    readonly populateOnDemandAfter?: { readonly entries: number }
  }
  readonly disagreements: { readonly notAsked: number }
}

/** Dumps the domain in the control domain to /share. */
async function dump(
  name: string,
  file: string,
  options = '',
): Promise<{ report: Report; seconds: number; path: string }> {
  const out = `/share/${file}`
  const { seconds } = await run(`ullage dump ${descriptor(name)} -o ${out} --report ${out}.json ${options}`)
  const path = join(host.share, file)
  const report: Report = JSON.parse(readFileSync(`${path}.json`, 'utf8'))
  return { report, seconds, path }
}

async function pauseCount(domain: XenDomain): Promise<number> {
  return (await host.figures()).get(domain.domainId)?.pauseCount ?? Number.NaN
}

describe.each(['pv', 'pvh'] as const)('a live ballooned %s domain', (type) => {
  let domain: XenDomain
  let pages: readonly HeapPage[]
  let truth: GuestTruth
  beforeAll(async () => {
    domain = await host.boot({ name: type, type, era: 'bookworm', memMiB: 256 })
    pages = await domain.fillHeap(1024)
    await domain.balloon(112)
    truth = await domain.truth()
    await domain.pause()
  })
  afterAll(() => domain?.destroy())

  test('has memory exactly where its kernel has not given it back, and every page at its place', async () => {
    writeFileSync(join(host.share, 'frames.json'), JSON.stringify(pages.map(({ pfn }) => pfn)))
    const { stdout } = await run(`${NODE}/dom0-look.ts ${type} /share/frames.json`)
    const seen: { extents: RamExtent[]; runs: BackingRun[]; hashes: string[]; warnings: unknown[] } = JSON.parse(stdout)
    expect(seen.warnings).toEqual([])
    expect(seen.extents[0]).toEqual({ name: 'ram', start: 0, count: FRAMES })
    const offline = new Set(framesWithFlag(truth.kpageflags, KPF.offline))
    expect(offline.size).toBe(BALLOONED)
    for (const run of seen.runs) {
      for (let pfn = run.start; pfn < Math.min(endOf(run), FRAMES); pfn++) {
        if ((run.state === 'unbacked') !== offline.has(pfn)) throw new Error(`frame ${pfn} is ${run.state}`)
      }
    }
    expect(seen.hashes).toEqual(pages.map(({ content }) => createHash('sha256').update(content).digest('hex')))
  })

  test('passes the conformance suite', async () => {
    // What is true of PV is told by xl; of PVH it would take minutes, and mapping its frames one by one tells the same.
    if (type === 'pv') await run('xl dump-core pv /share/pv.core')
    const { stdout } = await host.run(`${NODE}/dom0-conformance.ts ${type} ${type === 'pv' ? '/share/pv.core' : ''}`)
    expect(stdout.split('\n').filter((line) => line.startsWith('FAILED'))).toEqual([])
    expect(stdout).toMatch(/^[3-9]\d tests, 0 failed$/m)
  })

  test('is dumped with the guest’s word first: fewer questions, the same counts', async () => {
    const guest = await dump(type, `${type}.guest`, '--level 31 --trust guest')
    const both = await dump(type, `${type}.both`, '--level 31 --trust both')
    for (const { report } of [guest, both]) {
      expect(report.hypervisor.totalFramesAfter).toBe(report.hypervisor.totalFramesBefore)
      expect(report.hypervisor.populateOnDemandAfter).toEqual(report.hypervisor.populateOnDemandBefore)
    }
    expect(guest.report.disagreements.notAsked).toBe(BALLOONED)
    expect(guest.report.hypervisor.questions).toBeLessThan(both.report.hypervisor.questions)
    expect((await host.figures()).get(domain.domainId)?.totalFrames).toBe(guest.report.hypervisor.totalFramesBefore)
    console.log(
      `${type}: ${guest.seconds} s and ${guest.report.hypervisor.questions} hypercalls with the guest's word, ` +
        `${both.seconds} s and ${both.report.hypervisor.questions} without`,
    )
    if (type === 'pvh')
      expect(await crashPrints(requireVmlinux('bookworm'), guest.path, ['sys'])).toContain(truth.uname)
  })

  test('stays paused where somebody else had paused it, and runs again where not, also when its dump is killed', async () => {
    expect(await pauseCount(domain)).toBe(1)
    const hold = `${NODE}/dom0-hold.ts ${type} /share/state > /share/hold.out 2> /share/hold.err & echo $! > /share/hold.pid
until grep -q mode /share/hold.out; do kill -0 $(cat /share/hold.pid) || exit 1; usleep 200000; done; cat /share/hold.out`
    for (const [before, mode] of [
      [1, 'stopped'],
      [0, 'paused'],
    ] as const) {
      if (before === 0) await domain.unpause()
      expect((await run(hold)).stdout).toContain(`"mode":"${mode}"`)
      expect(await pauseCount(domain)).toBe(before + 1)
      await run('kill -9 $(cat /share/hold.pid)')
      await expect.poll(() => pauseCount(domain), { timeout: 20_000, interval: 500 }).toBe(before)
      expect((await run('ls /share/state')).stdout).not.toContain('paused')
    }
  })
})

describe('a domain whose frames are to be populated on demand', () => {
  let domain: XenDomain
  beforeAll(async () => {
    domain = await host.createPaused({ name: 'pod', type: 'pvh', era: 'bookworm', memMiB: 128, maxMemMiB: 256 })
  })
  const figures = async () => (await host.figures()).get(domain.domainId)

  test('is not dumped, and nothing that is asked gives any of them memory', async () => {
    const before = await figures()
    expect(before?.populateOnDemand?.entries).toBeGreaterThan(10_000)
    const refused = await host.run(`ullage dump ${descriptor('pod')} -o /share/pod.dump`)
    expect(refused.status).not.toBe(0)
    expect(refused.stderr).toMatch(/populate on demand.*allow populateOnDemand/)
    await run(`ullage pages ${descriptor('pod')} --trust host`)
    expect(await figures()).toEqual(before)
  })

  test('is dumped when that is allowed, as far as its memory goes', async () => {
    const path = descriptor('pod', { allow: ['populateOnDemand'] })
    await run(`ullage dump ${path} -o /share/pod.dump --level 1 --report /share/pod.json`)
    const { hypervisor }: Report = JSON.parse(readFileSync(join(host.share, 'pod.json'), 'utf8'))
    expect(hypervisor.populateOnDemandAfter?.entries).toBeLessThanOrEqual(
      hypervisor.populateOnDemandBefore?.entries ?? Number.NaN,
    )
    expect(await figures()).toBeDefined()
  })

  test('is said to be gone when it was destroyed while it was open', async () => {
    const thrown: Record<string, string> = JSON.parse((await run(`${NODE}/dom0-gone.ts pod`)).stdout)
    expect(Object.keys(thrown)).toHaveLength(5)
    for (const said of Object.values(thrown))
      expect(said).toMatch(/^UNAVAILABLE: expected domain \d+, found that it is gone/)
    expect(await figures()).toBeUndefined()
  })
})
