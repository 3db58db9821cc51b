import { spawn } from 'node:child_process'
import type { WrappingKey } from './keyring.ts'
import { StoreError } from './store-error.ts'

/** The most that a wrapped key may take. */
const MOST_ANSWER_BYTES = 4096
const MOST_STDERR_CHARACTERS = 500

export interface KmsCommands {
  /** Name of the key, for artifacts and for the commands, which have it as ULLAGE_KEY_ID in their environment. */
  readonly keyId: string
  /** Program and arguments, run without a shell: the key on stdin, what it was wrapped to on stdout. */
  readonly wrap: readonly string[]
  /** The reverse. */
  readonly unwrap: readonly string[]
  readonly timeoutMs: number
  /** Environment of the commands. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Has a command of the operator's ask a KMS. It has the dump's id as ULLAGE_DUMP_ID. What it says on stderr is the cause of the
 * StoreError, not part of its message, which tenants may read.
 */
export function kmsKey(commands: KmsCommands): WrappingKey {
  const envOf = (dump: string) => ({ ...commands.env, ULLAGE_KEY_ID: commands.keyId, ULLAGE_DUMP_ID: dump })
  const options = (dump: string) => ({ env: envOf(dump), timeoutMs: commands.timeoutMs })
  return {
    id: commands.keyId,
    wrap: (dataKey, dump) => run(commands.wrap, dataKey, options(dump)),
    unwrap: (wrapped, dump) => run(commands.unwrap, wrapped, options(dump)),
  }
}

function run(
  argv: readonly string[],
  input: Buffer,
  { env, timeoutMs }: { env: Record<string, string | undefined>; timeoutMs: number },
): Promise<Buffer> {
  const [program = '', ...args] = argv
  return new Promise((resolve, reject) => {
    const fail = (what: string, cause?: unknown) =>
      reject(new StoreError('KEY_UNAVAILABLE', `the key command ${program} ${what}`, { cause }))
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    const end = () => {
      // Its own group: a shell script's children hold the pipes open as well.
      if (child.pid !== undefined) killGroup(child.pid)
    }
    const overdue = setTimeout(() => {
      fail(`did not answer within ${timeoutMs / 1000} s`)
      end()
    }, timeoutMs)
    const answer: Buffer[] = []
    let answered = 0
    let said = ''
    child.stdout.on('data', (piece: Buffer) => {
      answered += piece.length
      if (answered <= MOST_ANSWER_BYTES) answer.push(piece)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, MOST_STDERR_CHARACTERS)
    })
    // A command that reads no key says by its status what it thinks of that.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    child.once('error', (error) => {
      clearTimeout(overdue)
      fail(`could not be run: ${error.message}`, error)
    })
    child.once('close', (code, signal) => {
      clearTimeout(overdue)
      if (code !== 0) {
        const cause = said === '' ? undefined : new Error(`it said on stderr: ${said.trim()}`)
        return fail(`ended with ${signal ?? `status ${code}`}`, cause)
      }
      if (answered === 0 || answered > MOST_ANSWER_BYTES) {
        return fail(`answered ${answered} bytes, expected 1 to ${MOST_ANSWER_BYTES}`)
      }
      resolve(Buffer.concat(answer))
    })
  })
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
