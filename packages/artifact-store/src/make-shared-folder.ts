import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Says the code of what went wrong on stdout, its sentence on stderr. */
const SCRIPT = `
  process.umask(0o007)
  try {
    require('node:fs').mkdirSync(process.argv[1], { recursive: true, mode: 0o770 })
  } catch (error) {
    process.stdout.write(String(error.code))
    process.stderr.write(error.message)
    process.exitCode = 1
  }`

/**
 * Makes a folder, and those above it that are missing, that others of its group may empty, whatever the umask is. Not by chmod:
 * that would take away the set-group-id bit, by which the group comes down to what is made in it. By a process of its own,
 * whose umask it is, and which is killed after `withinMs`: a file system that hangs stops nothing here.
 */
export async function makeSharedFolder(path: string, withinMs: number): Promise<void> {
  const options = { env: {}, timeout: withinMs, killSignal: 'SIGKILL' } as const
  try {
    await run(process.execPath, ['--eval', SCRIPT, '--', path], options)
  } catch (cause) {
    const { stdout, stderr } = said(cause)
    throw Object.assign(
      new Error(stderr || `the folder ${path} could not be made`, { cause }),
      stdout && { code: stdout },
    )
  }
}

function said(error: unknown): { stdout: string; stderr: string } {
  const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
  return { stdout, stderr }
}
