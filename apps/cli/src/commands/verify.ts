import { dumpDefaults, verifyArtifact } from '@ullage/dump'
import { humanBytes } from '../human.ts'
import { integer, parseCall } from '../parse-call.ts'
import { ProgressLine } from '../progress.ts'

export async function verify(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseCall(args, {
    usage: 'ullage verify FILE [--jobs N]',
    operands: ['FILE'],
    options: { jobs: { type: 'string' } },
  })
  const jobs = integer('jobs', values.jobs, { min: 1, max: 256, fallback: dumpDefaults.jobs })
  using progress = new ProgressLine()
  const path = positionals[0] as string
  const found = await verifyArtifact(path, {
    jobs,
    signal,
    onProgress: (done, total) => progress.show({ stage: 'verify', done, total }),
  })
  progress[Symbol.dispose]()
  process.stdout.write(
    `${path}: good: ${found.pages} pages read back, ${found.zeroPages} of them zero; ${humanBytes(found.bytes)}, sha256 ${found.sha256}\n`,
  )
}
