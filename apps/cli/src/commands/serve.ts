import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import { parseCall } from '../parse-call.ts'
import { serve as serveHost, type ServeReady } from '../serve.ts'
import { stateDir } from '../state-dir.ts'

const usage = `ullage serve [--guests DIR] [--data DIR] [--listen HOST:PORT | unix:/PATH]

  --guests DIR    guest descriptors, one JSON file each; its name is the guest's id (DATA/guests)
  --data DIR      dumps, journal, queue and logs (/var/lib/ullage, or ~/.local/share/ullage for other users than root)
  --listen ADDR   where requests are answered (127.0.0.1:8377)`

export async function serve(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values } = parseCall(args, {
    usage,
    operands: [],
    options: { guests: { type: 'string' }, data: { type: 'string' }, listen: { type: 'string' } },
  })
  const dataDir = values.data ?? defaultDataDir()
  await serveHost({
    guestsDir: values.guests ?? join(dataDir, 'guests'),
    dataDir,
    stateDir: stateDir(),
    listen: values.listen ?? '127.0.0.1:8377',
    signal,
    onReady: (ready) => process.stdout.write(welcome(ready)),
  })
}

function defaultDataDir(): string {
  return userInfo().uid === 0 ? '/var/lib/ullage' : join(homedir(), '.local/share/ullage')
}

function welcome({ url, guestsDir, artifactsDir, logsDir }: ServeReady): string {
  const socket = /^unix:(.*)$/.exec(url)?.[1]
  const [curl, at] = socket ? [`curl --unix-socket ${socket}`, 'http://localhost'] : ['curl', url]
  return `Ullage answers at ${url}
  guests   ${guestsDir} (one descriptor each: web-1.json is the guest web-1)
  dumps    ${artifactsDir}
  logs     ${logsDir}
next: ${curl} -s ${at}/v1/guests
      ${curl} -s -H 'content-type: application/json' -d '{"guest":"web-1"}' ${at}/v1/dumps
Ctrl-C ends all of it.
`
}
