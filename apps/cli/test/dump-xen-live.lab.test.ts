import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DumpReport } from '@ullage/dump'
import {
  bootXenHost,
  type DomainFigures,
  framesWithFlag,
  type GuestTruth,
  type HeapPage,
  KPF,
  type MemoryView,
  openKdumpfile,
  openXenCoreView,
  openXenSaveView,
  type RunResult,
  type XenDomain,
  type XenHost,
} from '@ullage/lab'
import { PfnSet } from '@ullage/pages'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { compareDump } from './compare-dump.ts'

const FRAME_BYTES = 4096
const MEM_MIB = 256
const LEFT_MIB = 112
const FRAMES = (MEM_MIB * 1024 * 1024) / FRAME_BYTES
const BALLOONED = ((MEM_MIB - LEFT_MIB) * 1024 * 1024) / FRAME_BYTES
const HEAP_FRAMES = 1024

let host: XenHost
beforeAll(async () => {
  host = await bootXenHost()
})
afterAll(() => host?.[Symbol.asyncDispose]())

/** Writes a descriptor of a live domain; returns its path in the control domain. */
function descriptor(domain: string | number, more: object = {}): string {
  mkdirSync(join(host.share, 'descriptors'), { recursive: true })
  const file = `descriptors/${domain}-${Object.keys(more).join('-')}.json`
  const content = { backend: 'xen', source: { kind: 'domain', domain, ...more } }
  writeFileSync(join(host.share, file), JSON.stringify(content))
  return `/share/${file}`
}

/** Runs the command line in the control domain, and has it succeed without a warning. */
async function ullage(call: string): Promise<RunResult> {
  const result = await host.run(`ullage ${call}`)
  expect(`${call}: ${result.status} ${result.stderr}`).toBe(`${call}: 0 `)
  return result
}

async function figuresOf(domain: XenDomain): Promise<DomainFigures> {
  const figures = (await host.figures()).get(domain.domainId)
  if (figures === undefined) throw new Error(`the hypervisor does not speak of domain ${domain.domainId}`)
  return figures
}

interface Dump {
  /** Path on this machine. */
  readonly file: string
  readonly report: DumpReport
}

/** Dumps to the control domain's RAM: the folder shared with this machine has no nameless files. */
async function dump(domain: XenDomain, name: string, options: string): Promise<Dump> {
  await ullage(`dump ${descriptor(domain.name)} -o /run/${name} --report /run/${name}.json ${options}`)
  await host.exec(`cp /run/${name} /run/${name}.json /share && rm /run/${name} /run/${name}.json`)
  const file = join(host.share, name)
  return { file, report: JSON.parse(readFileSync(`${file}.json`, 'utf8')) as DumpReport }
}

/** What xl itself writes of the paused domain: the core of a PV guest, the image of PVH, whose core takes minutes. */
async function foreignMemory(domain: XenDomain): Promise<MemoryView> {
  const path = join(host.share, `${domain.name}.xl`)
  if (domain.type === 'pv') {
    await domain.pause()
    await domain.dumpCore(`/share/${domain.name}.xl`)
    return openXenCoreView(path, FRAMES)
  }
  await domain.savePaused(`/share/${domain.name}.xl`)
  return openXenSaveView(path, FRAMES)
}

interface Run {
  readonly pfn: number
  readonly count: number
  readonly guest: string
  readonly host: string
}

/** Frames of the lines of `pages --runs` that `pick` picks. */
function framesOf(stdout: string, pick: (run: Run) => boolean): PfnSet {
  const runs = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Run)
  return PfnSet.of(runs.filter(pick).map(({ pfn, count }) => ({ start: pfn, count })))
}

const list = (set: PfnSet): string => [...set.allRuns()].map(({ start, count }) => `${start}+${count}`).join(' ')

const framesIn = (set: PfnSet): number[] =>
  [...set.allRuns()].flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i))

/** Where a card's video memory would be. */
const isVideo = (pfn: number): boolean => pfn >= 0xa0 && pfn < 0xc0

function expectHeap(file: string, pages: readonly HeapPage[]): void {
  using kdump = openKdumpfile(file)
  const found = new Uint8Array(FRAME_BYTES)
  const wrong = pages.filter(
    ({ pfn, content }) => !kdump.read(pfn * FRAME_BYTES, found) || Buffer.compare(found, content) !== 0,
  )
  expect(wrong).toEqual([])
}

describe.each(['pv', 'pvh'] as const)('a live ballooned %s domain', (type) => {
  let domain: XenDomain
  let pages: readonly HeapPage[]
  let truth: GuestTruth
  let offline: PfnSet
  let running: Dump
  let foreign: MemoryView
  beforeAll(async () => {
    domain = await host.boot({ name: type, type, era: 'bookworm', memMiB: MEM_MIB })
    pages = await domain.fillHeap(HEAP_FRAMES)
    await domain.balloon(LEFT_MIB)
    truth = await domain.truth()
    offline = PfnSet.of(framesWithFlag(truth.kpageflags, KPF.offline).map((start) => ({ start, count: 1 })))
  })
  afterAll(async () => {
    foreign?.[Symbol.dispose]()
    await domain?.destroy()
  })

  test('while it runs: what both say of each frame, asked without pausing it', async () => {
    onTestFailed(() => console.log(host.consoleText().slice(-1000)))
    const before = await figuresOf(domain)
    const { stdout } = await ullage(`pages ${descriptor(type)} --runs --trust both`)
    expect(await figuresOf(domain)).toEqual(before)
    expect(before).toMatchObject({ pauseCount: 0 })
    expect(offline.size).toBe(BALLOONED)
    expect(list(framesOf(stdout, ({ guest }) => guest === 'offline'))).toBe(list(offline))
    const unbacked = framesOf(stdout, (run) => run.host === 'unbacked' && run.pfn < FRAMES)
    expect(list(unbacked)).toBe(list(offline))
  })

  test('while it runs: a dump stops it for its length only, and takes nothing of it', async () => {
    const before = await figuresOf(domain)
    running = await dump(domain, `${type}.running`, '--level 1 --compress none')
    const { file, report } = running
    expect(report.consistency.mode).toBe('paused')
    expect(await figuresOf(domain)).toEqual(before)
    expect(report.hypervisor?.totalFramesBefore).toBe(before.totalFrames)
    expect(report.hypervisor?.totalFramesAfter).toBe(before.totalFrames)
    expectHeap(file, pages)
    expect(await domain.exec('echo alive')).toBe('alive\n')
  })

  test('killed while it holds the domain: the domain runs again', async () => {
    const start = `ullage dump ${descriptor(type)} -o /run/${type}.killed --level 0 > /run/killed.log 2>&1 & echo $!`
    const pid = (await host.exec(start)).trim()
    const pauseCount = async () => (await figuresOf(domain)).pauseCount
    // Each look takes time that the dump would have had: there is one processor.
    await expect.poll(pauseCount, { timeout: 180_000, interval: 1000 }).toBe(1)
    await host.exec(`kill -9 ${pid}`)
    await expect.poll(pauseCount, { timeout: 20_000, interval: 200 }).toBe(0)
    expect(await host.exec('ls /run')).not.toContain(`${type}.killed`)
    expect(await domain.exec('echo alive')).toBe('alive\n')
  })

  test('paused by others: every page as xl writes it; and it stays paused', async () => {
    foreign = await foreignMemory(domain)
    const before = await figuresOf(domain)
    expect(before.pauseCount).toBe(1)
    const { stdout } = await ullage(`pages ${descriptor(type)} --runs --trust both`)
    const backed = framesOf(stdout, (run) => run.host === 'backed')
    expect(framesIn(foreign.backed).filter((pfn) => pfn < FRAMES && !isVideo(pfn) && !backed.has(pfn))).toEqual([])
    // Shared info and grant table of PVH are Xen's: xl saves neither.
    expect(framesIn(backed).filter((pfn) => !foreign.backed.has(pfn))).toHaveLength(type === 'pv' ? 0 : 2)

    const none = await dump(domain, `${type}.0`, '--level 0 --compress none')
    const guest = await dump(domain, `${type}.guest`, '--level 31 --trust guest')
    const both = await dump(domain, `${type}.both`, '--level 31 --trust both --compress none')
    expect([none, guest, both].map(({ report }) => report.consistency.mode)).toEqual(['stopped', 'stopped', 'stopped'])
    const [whole, few, more] = [none, guest, both].map(({ file }) => compareDump(file, foreign, foreign.backed))
    expect([whole?.wrong, few?.wrong, more?.wrong]).toEqual([[], [], []])
    // Everything that xl writes of RAM but a window for video memory, which is listed as not dumped.
    expect(framesIn(foreign.backed).filter((pfn) => pfn < FRAMES && !isVideo(pfn) && !whole?.stored.has(pfn))).toEqual(
      [],
    )
    // Both must agree before a frame is left out.
    expect(framesIn(few?.stored ?? new PfnSet()).filter((pfn) => !more?.stored.has(pfn))).toEqual([])
    expectHeap(none.file, pages)

    expect(guest.report.disagreements.notAsked).toBe(BALLOONED)
    expect(both.report.disagreements.notAsked).toBe(0)
    // Trust `both` is level 1 at most: as many pages are read as for the dump of the running domain. A PV guest's own table
    // says which frames have none behind them, so there is nothing to save; to ask its kernel first costs some reads.
    const [first, all] = [running, both].map(({ report }) => report.hypervisor?.questions ?? Number.NaN) as [
      number,
      number,
    ]
    if (type === 'pvh') expect(all - first).toBeGreaterThan(BALLOONED * 0.9)
    else expect(first).toBeLessThan(all * 1.1)
    expect(await figuresOf(domain)).toEqual(before)
    for (const { report } of [none, guest, both]) {
      expect(report.hypervisor).toMatchObject({
        totalFramesBefore: before.totalFrames,
        totalFramesAfter: before.totalFrames,
      })
    }
  })

  test('goes on as if nothing had been', async () => {
    await domain.unpause()
    expect((await figuresOf(domain)).pauseCount).toBe(0)
    const later = await domain.truth()
    expect(framesWithFlag(later.kpageflags, KPF.offline)).toEqual(framesWithFlag(truth.kpageflags, KPF.offline))
    expect(later.uname).toBe(truth.uname)
  })
})

describe('a domain with memory populated on demand', () => {
  test('is refused with the reason, and its counts stay', async () => {
    const domain = await host.createPaused({ name: 'pod', type: 'pvh', era: 'bookworm', memMiB: 128, maxMemMiB: 256 })
    const before = await figuresOf(domain)
    expect(before.populateOnDemand?.entries).toBeGreaterThan(10_000)
    const { status, stderr } = await host.run(`ullage dump ${descriptor('pod')} -o /run/pod.vmcore`)
    expect(status).not.toBe(0)
    expect(stderr).toMatch(/^ullage: .*populate on demand.*populateOnDemand/)
    expect(await host.exec('ls /run')).not.toContain('pod.vmcore')
    await ullage(`pages ${descriptor('pod')} --trust host --json > /dev/null`)
    expect(await figuresOf(domain)).toEqual(before)
    await domain.destroy()
  })
})

describe('what cannot be', () => {
  test('a name that no domain has is said, with those there are', async () => {
    const { status, stderr } = await host.run(`ullage pages ${descriptor('nobody')}`)
    expect(`${status} ${stderr}`).toMatch(
      /^2 ullage: expected a domain named nobody in xenstore, found none \[GUEST_NOT_FOUND\]\n$/,
    )
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  test.each(['libxencall.so.1', 'libxenforeignmemory.so.1', 'libxenstore.so.4'])('%s is missing', async (library) => {
    const path = `/usr/lib/x86_64-linux-gnu/${library}`
    const call = `mv ${path} /run/; ullage pages ${descriptor('nobody')}; status=$?; mv /run/${library} ${path}; exit $status`
    const { status, stderr } = await host.run(call)
    expect(`${status} ${stderr}`).toMatch(new RegExp(`^1 ullage: .*${library.replaceAll('.', '\\.')}.*install`))
    expect(stderr).not.toMatch(/\n\s+at /)
  })
})
