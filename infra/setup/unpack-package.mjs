import { mkdirSync } from 'node:fs'
import { SetupError } from './setup-error.mjs'
import { tryRun } from './run-command.mjs'

/** Unpacks a Debian package into a folder; with `patterns` only the members that match one. */
export function unpackPackage(deb, folder, patterns = []) {
  mkdirSync(folder, { recursive: true })
  const script = 'dpkg-deb --fsys-tarfile "$1" | tar -x -f - -C "$2" --no-same-owner --wildcards "${@:3}"'
  const { status, words } = tryRun(['bash', '-o', 'pipefail', '-c', script, 'unpack', deb, folder, ...patterns])
  // tar complains, with status 2, of a pattern that matches nothing: the caller looks for what it needs.
  const harmless = patterns.length > 0 && words.includes('Not found in archive')
  if (status !== 0 && !harmless) throw new SetupError(`${deb} cannot be unpacked: ${words}`)
}
