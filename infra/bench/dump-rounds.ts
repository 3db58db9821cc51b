import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkDump, contentGib } from './check-dumps.ts'
import { type Filter, FILTERS, type Group, type Input, keys } from './goals.ts'
import type { StoppedGuest } from './guest/stopped-guest.ts'
import { dumpElf, dumpKdumpZlib, filterByMakedumpfile, type PeerRun } from './peers.ts'
import type { Sample, Samples } from './samples.ts'
import { ullage, type UllageDump, ullageDump } from './ullage.ts'

export interface RoundOptions {
  readonly samples: Samples
  readonly signal: AbortSignal
  readonly say: (text: string) => void
  /** Told what our dumps warn of, as often as they do. */
  readonly note: (text: string) => void
}

const WHOLE: Filter = FILTERS[0] as Filter
const PAGE_BYTES = 4096
const GIB = 2 ** 30

/**
 * Rounds of dumps of one stopped guest: what is the same in each is its memory, byte by byte, and its holes. In a round
 * everything runs once, ours beside its peer, and which of both is first changes from round to round.
 */
export class DumpRounds {
  readonly #stopped: StoppedGuest
  readonly #groups: ReadonlySet<Group>
  readonly #options: RoundOptions
  readonly #ours: string
  /** A first dump from the RAM file, until it has been compared. */
  readonly #oursFromRam: string
  readonly #theirs: string
  /** GiB of content that makedumpfile writes, by key. */
  readonly #written = new Map<string, number>()

  constructor(stopped: StoppedGuest, groups: ReadonlySet<Group>, options: RoundOptions) {
    this.#stopped = stopped
    this.#groups = groups
    this.#options = options
    this.#ours = join(stopped.folder, 'ours')
    this.#oursFromRam = join(stopped.folder, 'ours-ram')
    this.#theirs = join(stopped.folder, 'theirs')
  }

  async run(round: number): Promise<void> {
    const { guest, holes, elf } = this.#stopped
    const { samples, say } = this.#options
    holes.assertUnchanged(`before round ${round + 1}`)
    say(`its holes are as at first: ${holes.ranges.length} ranges, ${holes.backedBytes} bytes backed`)
    say(`${keys.elf} (the peer's first half)`)
    samples.add(keys.elf, sampleOf(await dumpElf(guest, elf)))
    holes.restore()
    const elfDescriptor = this.#stopped.describeElf()
    const isOursFirst = round % 2 === 0

    if (this.#groups.has('whole')) {
      await inTurn(
        isOursFirst,
        () => this.#whole(),
        () => this.#filterByPeer(WHOLE),
      )
      if (round === 0) await checkDump(this.#ours, this.#theirs, this.#stopped.regions)
      if (!this.#groups.has('filter')) this.#discard()
    }
    if (this.#groups.has('filter')) {
      for (const filter of FILTERS) {
        const fromFiles = async (): Promise<void> => {
          await this.#dump('ram', filter, elfDescriptor)
          if (round === 0) renameSync(this.#ours, this.#oursFromRam)
          await this.#dump('elf', filter, elfDescriptor)
        }
        // The whole job has already run this one.
        const isDone = filter === WHOLE && this.#groups.has('whole')
        await inTurn(isOursFirst, fromFiles, () => (isDone ? Promise.resolve() : this.#filterByPeer(filter)))
        if (round === 0) {
          for (const ours of [this.#oursFromRam, this.#ours]) await checkDump(ours, this.#theirs, this.#stopped.regions)
        }
        this.#discard()
      }
    }
    rmSync(elf)
    holes.assertUnchanged(`after our dumps of round ${round + 1}`)
    if (this.#groups.has('whole')) {
      say(keys.kdumpZlib)
      samples.add(keys.kdumpZlib, sampleOf(await dumpKdumpZlib(guest, this.#theirs)))
      this.#discard()
      holes.restore()
    }
  }

  async #whole(): Promise<void> {
    const { signal, say } = this.#options
    const { level, codec } = WHOLE
    say(keys.whole)
    const run = await ullageDump({ guest: this.#stopped.live, output: this.#ours, level, codec, verify: true, signal })
    addOurs(keys.whole, run, this.#options)
  }

  async #dump(input: Input, filter: Filter, elfDescriptor: string): Promise<void> {
    const { samples, signal, say } = this.#options
    const { level, codec } = filter
    const guest = input === 'ram' ? this.#stopped.ramFiles : elfDescriptor
    say(keys.dump(input, filter))
    const run = await ullageDump({ guest, output: this.#ours, level, codec, verify: false, signal })
    addOurs(keys.dump(input, filter), run, this.#options)
    if (input !== 'ram' || level === 31) return
    say(keys.verify(filter))
    const { wallMs, cpuMs } = await ullage(['verify', this.#ours], { signal })
    samples.add(keys.verify(filter), { wallMs, cpuMs })
  }

  async #filterByPeer(filter: Filter): Promise<void> {
    const { samples, signal, say } = this.#options
    const { level, codec } = filter
    const key = keys.makedumpfile(filter)
    say(key)
    const run = await filterByMakedumpfile({ elf: this.#stopped.elf, output: this.#theirs, level, codec, signal })
    const gib = this.#written.get(key) ?? contentGib(this.#theirs)
    this.#written.set(key, gib)
    samples.add(key, { ...sampleOf(run), gib })
  }

  #discard(): void {
    const paths = [this.#ours, `${this.#ours}.report.json`, this.#oursFromRam, this.#theirs]
    for (const path of paths) rmSync(path, { force: true })
  }
}

async function inTurn(isFirst: boolean, one: () => Promise<void>, other: () => Promise<void>): Promise<void> {
  if (isFirst) await one()
  await other()
  if (!isFirst) await one()
}

function sampleOf(run: PeerRun): Sample {
  return { wallMs: run.wallMs, cpuMs: run.cpuMs, bytes: run.bytes }
}

/** Adds a dump of ours to the samples, and to the notes what it warned of. */
export function addOurs(key: string, run: UllageDump, { samples, note }: RoundOptions, more: Sample = {}): void {
  const { report } = run
  samples.add(key, {
    ...sampleOf(run),
    gib: (report.frames.byFate.write * PAGE_BYTES) / GIB,
    peakBytes: report.process.peakBytes,
    pausedMs: report.consistency.pausedMs,
    classifyMs: report.timingsMs.classify,
    writeMs: report.timingsMs.write,
    verifyMs: report.timingsMs.verify,
    ...more,
  })
  for (const { code, text } of report.warnings) note(`${key} warned: ${text} [${code}]`)
}
