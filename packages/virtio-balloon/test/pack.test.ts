import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { bootGuest, type LabGuest } from '@ullage/lab'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeGuest } from './made-files.ts'

const root = new URL('../../..', import.meta.url).pathname
const RESUMED_WITHIN_MS = 2000

/** What a user of the package writes. */
const PROGRAM = `
import { openVirtioBalloon } from '@ullage/virtio-balloon'

await using guest = await openVirtioBalloon(JSON.parse(process.argv[2]), { baseDir: '.', stateDir: 'state' })
await using lease = await guest.pause()
for (const { name, start, count } of guest.memory.extents) {
  for await (const run of guest.backing.backing({ within: { start, count } })) {
    if (run.state === 'backed') console.log(name, run.start, run.count)
  }
}
`

const HOLDER = `
import { openVirtioBalloon } from '@ullage/virtio-balloon'

const guest = await openVirtioBalloon(JSON.parse(process.argv[2]), { baseDir: '.', stateDir: 'state' })
const lease = await guest.pause()
console.log(lease.mode)
setInterval(() => {}, 1000)
`

const CONFORMANCE = `
import { MemoryGuest, offlineQueryConformance as suite } from '@ullage/offline-query/conformance'

let tests = 0
suite({ describe: (_, body) => body(), it: () => tests++ }, { name: 'x', open: async () => ({ guest: new MemoryGuest({}) }) })
console.log(tests)
`

interface Manifest {
  readonly dependencies?: Record<string, string>
}

/** `name` and the packages of this repository that it needs, those needed first. */
function withDependencies(name: string): string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')) as Manifest
  const own = Object.keys(manifest.dependencies ?? {}).filter((dependency) => dependency.startsWith('@ullage/'))
  const needed = own.flatMap((dependency) => withDependencies(dependency.slice('@ullage/'.length)))
  return [...new Set([...needed, name])]
}

const run = (command: string, args: string[], cwd: string): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

interface NodeToTry {
  readonly node: string
  readonly version: string
  /** What prints the backed ranges, in a syntax that this Node knows. */
  readonly program: string
}

/** The Node of this repository, and the machine's own where it is an older one that the packages support. */
function nodes(): NodeToTry[] {
  const current = `of this repository, ${process.versions.node}`
  const own = '/usr/bin/node'
  const version = existsSync(own) ? run(own, ['-p', 'process.versions.node'], '/').trim() : ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isOlder = major < Number.parseInt(process.versions.node, 10)
  const isSupported = major > 20 || (major === 20 && minor >= 19)
  if (!isOlder || !isSupported) {
    return [
      { node: process.execPath, version: `${current} (this machine has no older one)`, program: 'print-backed.js' },
    ]
  }
  return [
    { node: process.execPath, version: current, program: 'print-backed.js' },
    { node: own, version: `of this machine, ${version}`, program: 'es2022/print-backed.js' },
  ]
}

describe('the packed package, installed in an empty folder', () => {
  const folder = mkdtempSync('/tmp/ullage-pack-')
  const installed = join(folder, 'installed')
  let guest: LabGuest | undefined

  beforeAll(async () => {
    const tarballs = join(folder, 'tarballs')
    mkdirSync(tarballs)
    mkdirSync(installed)
    const needed = withDependencies('virtio-balloon')
    // Packing builds: nothing of an earlier build is packed.
    for (const name of needed) rmSync(join(root, 'packages', name, 'dist'), { recursive: true, force: true })
    const workspaces = needed.flatMap((name) => ['-w', `packages/${name}`])
    run('npm', ['pack', '--silent', ...workspaces, '--pack-destination', tarballs], root)
    writeFileSync(join(installed, 'package.json'), '{ "private": true, "type": "module" }')
    const files = readdirSync(tarballs).map((name) => join(tarballs, name))
    run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', ...files], installed)
    writeFileSync(join(installed, 'print-backed.js'), PROGRAM)
    writeFileSync(join(installed, 'hold.js'), HOLDER)
    writeFileSync(join(installed, 'conformance.js'), CONFORMANCE)
    // Node 20 and 22 do not know the syntax "await using": their users have a compiler, as we do.
    const compiled = ['--allowJs', '--noCheck', '--ignoreConfig', '--target', 'es2022', '--module', 'nodenext']
    run(
      join(root, 'node_modules/.bin/tsc'),
      [...compiled, '--outDir', join(installed, 'es2022'), 'print-backed.js'],
      installed,
    )
    guest = await bootGuest({ era: 'bookworm', memMiB: 128, balloonMiB: 40 })
  })
  afterAll(async () => {
    await guest?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  it('holds plain JavaScript and types, and no tests', () => {
    const files = readdirSync(join(installed, 'node_modules/@ullage'), { recursive: true, encoding: 'utf8' })
    const sources = files.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    expect(sources).toEqual([])
    expect(files.filter((name) => name.includes('.test.'))).toEqual([])
    expect(files).toContain('virtio-balloon/dist/index.d.ts')
    expect(files).toContain('qemu/dist/guardian-main.js')
  })

  describe.each(nodes())('on the Node $version', ({ node, program }) => {
    const printed = (source: object): [string, number, number][] =>
      run(node, [program, JSON.stringify(source)], installed)
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
        .map(([name = '', start, count]) => [name, Number(start), Number(count)])

    it('prints the backed ranges of a guest in files', () => {
      using made = makeGuest('kept')
      const region = { gpa: 0, size: 3072 * 4096, file: made.ramPath, offset: 0 }
      expect(printed({ kind: 'files', regions: [region] })).toEqual([
        ['ram.raw', 0, 8],
        ['ram.raw', 100, 60],
        ['ram.raw', 256, 44],
        ['ram.raw', 1000, 1],
        ['ram.raw', 1500, 612],
        ['ram.raw', 2113, 1],
        ['ram.raw', 2600, 472],
      ])
    })

    it('prints the backed ranges of a live guest, which is paused meanwhile and runs afterwards', async () => {
      const live = guest as LabGuest
      await live.stop()
      const [file] = live.backedRanges()
      const expected = file?.ranges.map(({ startByte, endByte }) => [startByte / 4096, (endByte - startByte) / 4096])
      const whole = printed({ kind: 'qmp', socket: live.qmpSocket })
      expect(whole.map(([, start, count]) => [start, count])).toEqual(expected)
      await live.cont()
      expect(printed({ kind: 'qmp', socket: live.qmpSocket }).length).toBeGreaterThan(1)
      expect(await live.status()).toBe('running')
    })

    it('resumes the guest when the program is killed', async () => {
      const live = guest as LabGuest
      const holder: ChildProcess = spawn(node, ['hold.js', JSON.stringify({ kind: 'qmp', socket: live.qmpSocket })], {
        cwd: installed,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [said] = (await once(holder.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
      expect(said.toString()).toBe('paused\n')
      expect(await live.status()).toBe('paused')
      const killedAt = performance.now()
      holder.kill('SIGKILL')
      while ((await live.status()) !== 'running' && performance.now() - killedAt < 10 * RESUMED_WITHIN_MS)
        await delay(10)
      expect(performance.now() - killedAt).toBeLessThan(RESUMED_WITHIN_MS)
    })

    it('brings the conformance suite', () => {
      expect(Number(run(node, ['conformance.js'], installed))).toBeGreaterThan(20)
    })
  })
})
