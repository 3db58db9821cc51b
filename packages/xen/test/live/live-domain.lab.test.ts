import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bootXenHost, type DomainFigures, type RunResult, type XenDomain, type XenHost } from '@ullage/lab'
import type { HypervisorFigures } from '@ullage/offline-query'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const NODE = 'node --conditions=@ullage/source /ullage/packages/xen/test/live'

/** The part of a dump's report that is looked at. */
interface Report {
  readonly hypervisor?: {
    readonly populateOnDemandBefore?: HypervisorFigures['populateOnDemand']
    readonly populateOnDemandAfter?: HypervisorFigures['populateOnDemand']
  }
  readonly warnings: readonly { readonly code: string }[]
}

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

async function figuresOf(domain: XenDomain): Promise<DomainFigures | undefined> {
  return (await host.figures()).get(domain.domainId)
}

describe.each(['pv', 'pvh'] as const)('a live ballooned %s domain', (type) => {
  let domain: XenDomain
  beforeAll(async () => {
    domain = await host.boot({ name: type, type, era: 'bookworm', memMiB: 256 })
    await domain.balloon(112)
    await domain.pause()
  })
  afterAll(() => domain?.destroy())

  test('passes the conformance suite', async () => {
    // What is true of PV xl tells; of PVH that takes it minutes, and mapping each frame by its number tells the same.
    if (type === 'pv') await run('xl dump-core pv /run/pv.core')
    const { stdout } = await host.run(`${NODE}/dom0-conformance.ts ${type} ${type === 'pv' ? '/run/pv.core' : ''}`)
    expect(stdout.split('\n').filter((line) => line.startsWith('FAILED'))).toEqual([])
    expect(stdout).toMatch(/^[3-9]\d tests, 0 failed$/m)
  })

  test('is held by one more pause, which is taken back alone when its holder is killed', async () => {
    const hold = `${NODE}/dom0-hold.ts ${type} /run/state > /run/hold.out 2> /run/hold.err & echo $! > /run/hold.pid
until grep -q mode /run/hold.out; do kill -0 $(cat /run/hold.pid) || { cat /run/hold.err; exit 1; }; usleep 200000; done
cat /run/hold.out`
    const pauseCount = async () => (await figuresOf(domain))?.pauseCount
    for (const [before, mode] of [
      [1, 'stopped'],
      [0, 'paused'],
    ] as const) {
      if (before === 0) await domain.unpause()
      expect((await run(hold)).stdout).toContain(`"mode":"${mode}"`)
      expect(await pauseCount()).toBe(before + 1)
      await run('kill -9 $(cat /run/hold.pid)')
      await expect.poll(pauseCount, { timeout: 20_000, interval: 500 }).toBe(before)
      // The guardian removes its record after the domain runs.
      await expect.poll(() => host.exec('ls /run/state'), { timeout: 20_000 }).not.toContain('paused')
    }
  })
})

describe('a domain whose frames are to be populated on demand', () => {
  let domain: XenDomain
  beforeAll(async () => {
    domain = await host.createPaused({ name: 'pod', type: 'pvh', era: 'bookworm', memMiB: 128, maxMemMiB: 256 })
  })

  test('is read when that is allowed, as far as that cannot crash it, and the counts tell', async () => {
    mkdirSync(join(host.share, 'descriptors'), { recursive: true })
    const source = { kind: 'domain', domain: 'pod', allow: ['populateOnDemand'] }
    writeFileSync(join(host.share, 'descriptors/pod.json'), JSON.stringify({ backend: 'xen', source }))
    const before = await figuresOf(domain)
    await run('ullage dump /share/descriptors/pod.json -o /run/pod --level 1 --report /run/pod.json')
    await run('cp /run/pod.json /share/pod.json; rm /run/pod')
    const report = JSON.parse(readFileSync(join(host.share, 'pod.json'), 'utf8')) as Report
    const after = await figuresOf(domain)
    expect(report.hypervisor?.populateOnDemandBefore).toMatchObject(before?.populateOnDemand ?? {})
    expect(report.hypervisor?.populateOnDemandAfter).toMatchObject(after?.populateOnDemand ?? {})
    expect(after?.populateOnDemand?.entries).toBeLessThan(before?.populateOnDemand?.entries ?? 0)
    expect(after?.totalFrames).toBe(before?.totalFrames)
    expect(report.warnings.map(({ code }) => code)).toContain('MEMORY_CHANGED')
  })

  test('is said to be gone when it was destroyed while it was open', async () => {
    const thrown: Record<string, string> = JSON.parse((await run(`${NODE}/dom0-gone.ts pod`)).stdout)
    expect(Object.keys(thrown)).toHaveLength(5)
    for (const said of Object.values(thrown)) {
      expect(said).toMatch(/^UNAVAILABLE: expected domain \d+, found that it is gone/)
    }
    expect(await figuresOf(domain)).toBeUndefined()
  })
})
