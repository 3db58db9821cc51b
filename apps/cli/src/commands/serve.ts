import { join } from 'node:path'
import { parseCall } from '../parse-call.ts'
import { serve as run } from '../serve.ts'
import { stateDir } from '../state-dir.ts'

const usage = 'ullage serve [--guests DIR] [--data DIR] [--listen HOST:PORT|unix:PATH]'

const DEFAULT_LISTEN = '127.0.0.1:7070'

export async function serve(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values } = parseCall(args, {
    usage,
    operands: [],
    options: { guests: { type: 'string' }, data: { type: 'string' }, listen: { type: 'string' } },
  })
  const dataDir = values.data ?? 'ullage-data'
  await run({
    dataDir,
    guestsDir: values.guests ?? join(dataDir, 'guests'),
    stateDir: stateDir(),
    listen: values.listen ?? DEFAULT_LISTEN,
    signal,
    onReady: ({ url, guestsDir, artifactsDir, logsDir }) => {
      process.stdout.write(
        `serving at ${url}\n` +
          `  guests     ${guestsDir} (a guest descriptor each; web-1.json is the guest web-1)\n` +
          `  artifacts  ${artifactsDir}\n` +
          `  logs       ${logsDir}\n` +
          `  next       curl ${url}/v1/guests\n`,
      )
    },
  })
}
