import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { installPackages } from './install-packages.mjs'
import { warn, say } from './say.mjs'
import { SetupError } from './setup-error.mjs'
import { tryRun } from './run-command.mjs'

/**
 * What this machine must have, how to see that it has it, and the Debian package that brings it. `without` says what
 * its absence means; an entry that has none cannot be missing.
 */
const NEEDED = [
  { debian: 'qemu-system-x86', command: 'qemu-system-x86_64' },
  { debian: 'qemu-system-arm', command: 'qemu-system-aarch64', without: 'tests with arm64 guests fail' },
  { debian: 'redis-server', command: 'redis-server' },
  { debian: 'systemd', command: 'systemd-analyze', without: 'tests of the systemd units fail' },
  { debian: 'docker-compose', command: 'docker-compose', without: 'the test of the compose file fails' },
  { debian: 'cpio', command: 'cpio' },
  { debian: 'busybox-static', test: hasStaticBusybox },
  { debian: 'xz-utils', command: 'xz' },
  { debian: 'zstd', command: 'zstd' },
  { debian: 'util-linux', command: 'setpriv' },
  { debian: 'mount', command: 'swapon', without: 'tests with real swap and with a full file system fail' },
  { debian: 'iproute2', command: 'ip', without: 'the test of the units under systemd fails' },
  { debian: 'curl', command: 'curl', without: 'the test of the first hour fails' },
  { debian: 'faketime', command: 'faketime', without: 'tests in which a clock jumps fail' },
  { debian: 'python3', command: 'python3', without: 'tests that look at another process’s memory fail' },
  { debian: 'openssl', command: 'openssl', without: 'tests of TLS fail' },
  { debian: 'liblzo2-2', library: 'liblzo2.so.2', without: 'dumps cannot be compressed with lzo' },
  { debian: 'libsnappy1v5', library: 'libsnappy.so.1', without: 'dumps cannot be compressed with snappy' },
  { debian: 'libzstd1', library: 'libzstd.so.1', without: 'zstd comes from Node itself and is slower' },
  { debian: 'libdeflate0', library: 'libdeflate.so.0', without: 'zlib comes from Node itself and is slower' },
  { debian: 'swift-proxy', command: 'swift-proxy-server', without: 'tests with a real S3 server fail' },
  { debian: 'swift-account', command: 'swift-account-server', without: 'tests with a real S3 server fail' },
  { debian: 'swift-container', command: 'swift-container-server', without: 'tests with a real S3 server fail' },
  { debian: 'swift-object', command: 'swift-object-server', without: 'tests with a real S3 server fail' },
  { debian: 'makedumpfile', command: 'makedumpfile', without: 'tests that compare with makedumpfile fail' },
  { debian: 'crash', command: 'crash', without: 'tests that open a dump with this distribution’s crash fail' },
  {
    debian: 'libkdumpfile10',
    library: 'libkdumpfile.so.10',
    without: 'tests that read dumps back by libkdumpfile fail',
  },
]

/** The entries of what is needed that this machine has not. */
export function missingFromMachine() {
  const libraries = tryRun(['ldconfig', '-p'], { env: { ...process.env, PATH: searchPath().join(delimiter) } }).stdout
  return NEEDED.filter(({ command, library, test }) => {
    if (command) return !hasCommand(command)
    if (library) return !libraries.includes(`\t${library} `)
    return !test()
  })
}

/** Installs what is missing with apt; without apt or root, goes on when only the dispensable is missing. */
export async function ensureMachinePackages() {
  const missing = missingFromMachine()
  if (missing.length === 0) return say('Debian packages: all there')
  const names = missing.map(({ debian }) => debian)
  const obstacle = whyNotApt()
  if (obstacle === undefined) {
    say(`Debian packages: installing ${names.join(', ')}`)
    await installPackages(names)
  }
  for (const { debian, without } of missingFromMachine()) {
    if (without === undefined) {
      const found = obstacle ?? 'apt-get says it installed it, and yet it is not there'
      throw new SetupError(
        `${debian} is needed and missing, and ${found}; have it installed with: apt-get install --no-install-recommends ${names.join(' ')}`,
      )
    }
    warn(`${debian} is missing: ${without}`)
  }
}

function whyNotApt() {
  if (!hasCommand('apt-get')) return 'this machine has no apt-get'
  if (process.getuid() !== 0) return 'only root can install packages'
  return undefined
}

export function hasCommand(name) {
  return searchPath().some((folder) => isExecutable(join(folder, name)))
}

function searchPath() {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].filter(Boolean)
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The guests have no libc, so their busybox must not need one: a static program names no interpreter. */
function hasStaticBusybox() {
  return existsSync('/bin/busybox') && !readFileSync('/bin/busybox').subarray(0, 4096).includes('ld-linux')
}
