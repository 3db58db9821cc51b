import { fates, guestClasses, hostStates, type PlanRun, pagesOf, trusts } from '@ullage/dump'
import { loadDescriptor, openGuest } from '@ullage/guests'
import { askedLine } from '../asked-line.ts'
import { humanBytes } from '../human.ts'
import { formatMatrix } from '../matrix.ts'
import { oneOf, parseCall } from '../parse-call.ts'
import { stateDir } from '../state-dir.ts'
import { UsageError } from '../usage-error.ts'

const usage = 'ullage pages GUEST [--json | --runs] [--pause] [--trust guest|both|host]'

/** Text gathered before it is written out, in characters. */
const CHUNK = 1 << 16

export async function pages(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseCall(args, {
    usage,
    operands: ['GUEST'],
    options: {
      json: { type: 'boolean' },
      runs: { type: 'boolean' },
      pause: { type: 'boolean' },
      trust: { type: 'string' },
    },
  })
  if (values.json && values.runs) throw new UsageError(`--json and --runs exclude each other\nusage: ${usage}`)
  const descriptor = await loadDescriptor(positionals[0] as string)
  await using guest = await openGuest(descriptor, { stateDir: stateDir(), signal })
  let text = ''
  const report = await pagesOf(guest, {
    pause: values.pause ?? false,
    trust: oneOf('trust', values.trust, trusts, 'guest'),
    signal,
    ...(values.runs
      ? {
          onRun: (run: PlanRun) => {
            text += `${runLine(run)}\n`
            if (text.length < CHUNK) return
            process.stdout.write(text)
            text = ''
          },
        }
      : {}),
  })
  for (const warning of report.warnings) process.stderr.write(`ullage: warning: ${warning.text} [${warning.code}]\n`)
  if (values.runs) process.stdout.write(text)
  else if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  else {
    const { frames, disagreements, guest: about } = report
    process.stdout.write(
      `${about.kernel ?? 'unknown kernel'} (${about.backend}), frames of ${about.pageSize} bytes\n\n`,
    )
    process.stdout.write(`${formatMatrix(frames)}\n\n`)
    process.stdout.write(
      `at level 31: ${frames.byFate.write} to write, ${frames.byFate.zero} zero, ${frames.byFate.leaveOut} left out\n`,
    )
    process.stdout.write(`reclaimable: ${humanBytes(disagreements.reclaimableBytes)}\n`)
    for (const line of askedLine(report)) process.stdout.write(`${line}\n`)
  }
}

function runLine({ start, count, guestClass, hostState, fate }: PlanRun): string {
  return JSON.stringify({
    pfn: start,
    count,
    guest: guestClasses[guestClass],
    host: hostStates[hostState],
    fate: fates[fate],
  })
}
