import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const bin = fileURLToPath(new URL('../bin', import.meta.url))
const NOBODY = 65534
const isRoot = process.geteuid?.() === 0

/** Runs as somebody who is not root. */
const asUser = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'] : []
const [first = '', ...others] = [...asUser, process.execPath, '--version']
const canBeUser = spawnSync(first, others).status === 0

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-compiled-'))
  chmodSync(folder, 0o755)
  cpSync(bin, join(folder, 'bin'), { recursive: true })
  mkdirSync(join(folder, 'dist'))
  // An installed command line in little: what it imports is what may be kept.
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'dist/main.js'), `console.log(process.env.NODE_COMPILE_CACHE ?? 'none')`)
})
afterEach(() => rmSync(folder, { recursive: true }))

function run(prefix: readonly string[], env: Readonly<Record<string, string>>): SpawnSyncReturns<string> {
  const [command = '', ...args] = [...prefix, process.execPath, join(folder, 'bin/ullage.js')]
  return spawnSync(command, args, { encoding: 'utf8', env: { PATH: process.env.PATH ?? '', ...env } })
}

function cacheHome(mode: number): string {
  const home = join(folder, 'cache')
  mkdirSync(home)
  chmodSync(home, mode)
  return home
}

describe.skipIf(!canBeUser)('compiled code of a user', () => {
  test('is kept in a folder that only this user can use', () => {
    const home = cacheHome(0o777)
    expect(run(asUser, { XDG_CACHE_HOME: home })).toMatchObject({ status: 0, stdout: `${home}/ullage-compiled\n` })
    expect(statSync(join(home, 'ullage-compiled')).mode & 0o777).toBe(0o700)
    expect(readdirSync(join(home, 'ullage-compiled'), { recursive: true }).length).toBeGreaterThan(1)
  })

  test('is kept in .cache of the home folder, which is made', () => {
    const home = cacheHome(0o777)
    expect(run(asUser, { HOME: home })).toMatchObject({ status: 0, stdout: `${home}/.cache/ullage-compiled\n` })
  })

  test.each<[string, (home: string) => void]>([
    [
      'others can write the folder',
      (home) => {
        mkdirSync(join(home, 'ullage-compiled'))
        chmodSync(join(home, 'ullage-compiled'), 0o777)
      },
    ],
    ['there is something else', (home) => writeFileSync(join(home, 'ullage-compiled'), '')],
  ])('is not kept where %s', (_, prepare) => {
    const home = cacheHome(0o777)
    prepare(home)
    expect(run(asUser, { XDG_CACHE_HOME: home })).toMatchObject({ status: 0, stdout: 'none\n', stderr: '' })
  })

  test.runIf(isRoot)('is not kept where the folder is of another user', () => {
    const home = cacheHome(0o777)
    mkdirSync(join(home, 'ullage-compiled'), { mode: 0o755 })
    expect(run(asUser, { XDG_CACHE_HOME: home })).toMatchObject({ status: 0, stdout: 'none\n', stderr: '' })
  })

  test.runIf(isRoot)('is not kept where this user may not look', () => {
    const home = cacheHome(0o700)
    expect(run(asUser, { XDG_CACHE_HOME: home })).toMatchObject({ status: 0, stdout: 'none\n', stderr: '' })
  })

  test.each(['/proc', '/nonexistent/folder', 'relative', ''])(
    'is not kept where there can be no folder: %j',
    (home) => {
      expect(run(asUser, { XDG_CACHE_HOME: home })).toMatchObject({ status: 0, stdout: 'none\n', stderr: '' })
    },
  )
})

test.runIf(isRoot)('compiled code of root is kept where no other user has a say', () => {
  const { status, stdout } = run([], { XDG_CACHE_HOME: cacheHome(0o777) })
  expect(status).toBe(0)
  expect(stdout).toBe(existsSync('/var/cache/ullage-compiled') ? '/var/cache/ullage-compiled\n' : 'none\n')
})
