import { guardOf, trusts } from '@ullage/dump'
import { loadDescriptor, openGuest } from '@ullage/guests'
import { parseByteRange } from '../byte-range.ts'
import { EXIT } from '../exit-status.ts'
import { formatGuard } from '../format-guard.ts'
import { oneOf, parseCall } from '../parse-call.ts'
import { stateDir } from '../state-dir.ts'

const usage = 'ullage guard GUEST [--range START-END …] [--json] [--pause] [--trust guest|both|host]'

const details = `Tells whether a guest may kexec: which frames it needs for that are offline, by its own word, or have no memory on the host.
  --range START-END  guest physical addresses to look at, in bytes, hex with 0x or decimal, END not included; may be repeated.
                     Without it: what the guest has loaded (kernels from 6.0 on that carry their own types)
Exit status: 0 everything is there, or the host fills it when it is touched (a warning then); 1 something is not there, and the
guest would not come up; 2 the call is wrong, or the guest does not tell what it has loaded: name ranges then.`

export async function guard(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseCall(args, {
    usage,
    details,
    operands: ['GUEST'],
    options: {
      range: { type: 'string', multiple: true },
      json: { type: 'boolean' },
      pause: { type: 'boolean' },
      trust: { type: 'string' },
    },
  })
  const trust = oneOf('trust', values.trust, trusts, 'guest')
  const asked = (values.range ?? []).map(parseByteRange)
  const descriptor = await loadDescriptor(positionals[0] as string)
  await using guest = await openGuest(descriptor, { stateDir: stateDir(), signal, pauses: values.pause ?? false })
  const report = await guardOf(guest, { asked, pause: values.pause ?? false, trust, signal })
  for (const { code, text } of report.warnings) process.stderr.write(`ullage: warning: ${text} [${code}]\n`)
  const { filled, taken } = report.frames.missing
  if (report.safe && filled + taken > 0) {
    const text =
      `${filled + taken} frames that the guest needs are offline or have no memory: the host fills them when it jumps, ` +
      'and its memory grows'
    process.stderr.write(`ullage: warning: ${text} [KEXEC_UNBACKED]\n`)
  }
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : `${formatGuard(report)}\n`)
  if (!report.safe) process.exitCode = EXIT.failed
}
