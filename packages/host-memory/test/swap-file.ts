import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Swap space for a test, or why this machine allows none. */
export type Swap =
  | { readonly allowed: true; readonly off: () => void }
  | { readonly allowed: false; readonly why: string }

/** Makes a swap file and turns it on; uses the swap that the machine has when it has any. Needs root. */
export function trySwapOn(sizeBytes: number): Swap {
  if (readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1) return { allowed: true, off: () => undefined }
  const reasons: string[] = []
  // A swap file must not be on tmpfs, which /tmp may be.
  for (const parent of [tmpdir(), '/var/tmp']) {
    const folder = mkdtempSync(join(parent, 'ullage-swap-'))
    const path = join(folder, 'swap')
    const fd = openSync(path, 'w', 0o600)
    // Written, not truncated to size: a swap file must not have holes.
    for (let at = 0; at < sizeBytes; at += 1 << 20) writeSync(fd, Buffer.alloc(1 << 20), 0, 1 << 20, at)
    closeSync(fd)
    const failed = ['mkswap', 'swapon'].map((command) => run(command, path)).find((text) => text !== undefined)
    if (failed === undefined) {
      return {
        allowed: true,
        off: () => {
          const left = run('swapoff', path)
          if (left !== undefined) throw new Error(left)
          rmSync(folder, { recursive: true })
        },
      }
    }
    reasons.push(failed)
    rmSync(folder, { recursive: true })
  }
  return { allowed: false, why: reasons.join('; ') }
}

/** What the command says when it fails, undefined when it does not. */
function run(command: string, path: string): string | undefined {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }
  const { status, stderr, error } = spawnSync(command, [path], { encoding: 'utf8', env })
  if (status === 0) return undefined
  return `${command}: ${error?.message ?? stderr.trim()}`
}
