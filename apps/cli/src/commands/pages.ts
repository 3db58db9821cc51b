import { basename } from 'node:path'
import { fates, guestClasses, hostStates, type PagesReport, type PlanRun, pagesOf, trusts } from '@ullage/dump'
import { loadDescriptor, openGuest } from '@ullage/guests'
import { askedLine } from '../asked-line.ts'
import { humanBytes, humanShare } from '../human.ts'
import { createMapFile, encodeMap, mapFormat } from '../map/map-file.ts'
import { MapPicture } from '../map/map-picture.ts'
import { formatMatrix } from '../matrix.ts'
import { oneOf, parseCall } from '../parse-call.ts'
import { stateDir } from '../state-dir.ts'
import { UsageError } from '../usage-error.ts'

const usage = 'ullage pages GUEST [--json | --runs] [--map FILE.svg|FILE.png] [--pause] [--trust guest|both|host]'

const details = `--map FILE  draws guest memory: addresses from left to right and downwards, a colour for each class, pale where the host
            has no memory. The file must be new; its name says whether it is SVG or PNG.`

/** Text gathered before it is written out, in characters. */
const CHUNK = 1 << 16

export async function pages(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseCall(args, {
    usage,
    details,
    operands: ['GUEST'],
    options: {
      json: { type: 'boolean' },
      runs: { type: 'boolean' },
      map: { type: 'string' },
      pause: { type: 'boolean' },
      trust: { type: 'string' },
    },
  })
  if (values.json && values.runs) throw new UsageError(`--json and --runs exclude each other\nusage: ${usage}`)
  const trust = oneOf('trust', values.trust, trusts, 'guest')
  const format = values.map === undefined ? undefined : mapFormat(values.map)
  const path = positionals[0] as string
  const descriptor = await loadDescriptor(path)
  await using mapFile = values.map === undefined ? undefined : await createMapFile(values.map)
  await using guest = await openGuest(descriptor, { stateDir: stateDir(), signal, pauses: values.pause ?? false })
  const lines = values.runs ? new RunLines() : undefined
  const picture = mapFile ? new MapPicture() : undefined
  const report = await pagesOf(guest, {
    pause: values.pause ?? false,
    trust,
    signal,
    onLayout: (layout) => picture?.begin(layout),
    onRun: (run) => {
      lines?.add(run)
      picture?.add(run)
    },
  })
  for (const warning of report.warnings) process.stderr.write(`ullage: warning: ${warning.text} [${warning.code}]\n`)
  if (mapFile && picture && format) {
    await mapFile.write(await encodeMap(picture.draw(basename(path, '.json'), report), format), 0)
    await mapFile.publish()
  }
  if (lines) lines.flush()
  else process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : summary(report))
}

function summary(report: PagesReport): string {
  const { frames, disagreements, guest: about } = report
  const fate = (name: keyof typeof frames.byFate): string => {
    const count = frames.byFate[name]
    return `${humanBytes(count * about.pageSize)} (${humanShare(count, frames.total)}, ${count} frames)`
  }
  const lines = [
    `${about.kernel ?? 'unknown kernel'} (${about.backend}), ${frames.total} frames of ${about.pageSize} bytes`,
    '',
    formatMatrix(frames, about.pageSize),
    '',
    `at level 31: ${fate('write')} to write, ${fate('zero')} zero, ${fate('leaveOut')} left out`,
    `reclaimable: ${humanBytes(disagreements.reclaimableBytes)}`,
    ...askedLine(report),
  ]
  return `${lines.join('\n')}\n`
}

/** One JSON line a run, written out in pieces. */
class RunLines {
  #text = ''

  add({ start, count, guestClass, hostState, fate }: PlanRun): void {
    const [guest, host] = [guestClasses[guestClass], hostStates[hostState]]
    this.#text += `${JSON.stringify({ pfn: start, count, guest, host, fate: fates[fate] })}\n`
    if (this.#text.length >= CHUNK) this.flush()
  }

  flush(): void {
    process.stdout.write(this.#text)
    this.#text = ''
  }
}
