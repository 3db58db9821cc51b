import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bootGuest, unpackFixture } from '@ullage/lab'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { bundleCli } from '../build/bundle-cli.ts'
import { type Loaded, loadedBy } from './loaded-by.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const inputsFile = join(root, 'apps/cli/dist/inputs.json')
const folder = mkdtempSync(join(tmpdir(), 'ullage-bundle-'))

let modulesOf: Map<string, string[]>
let inputs: string
beforeAll(async () => {
  const chunks = await bundleCli()
  modulesOf = new Map(chunks.map(({ fileName, moduleIds }) => [fileName, moduleIds.map((id) => relative(root, id))]))
  inputs = readFileSync(inputsFile, 'utf8')
})
afterEach(() => writeFileSync(inputsFile, inputs))
afterAll(() => rmSync(folder, { recursive: true }))

/** The sources of what was loaded from the bundle. */
function sourcesOf({ files }: Pick<Loaded, 'files'>): string[] {
  return files.flatMap((file) =>
    file.startsWith('dist/') ? (modulesOf.get(file.slice('dist/'.length)) ?? [file]) : [],
  )
}

const SERVICES = /fastify|bullmq|ioredis|apps\/(api|worker)|packages\/(dump-job|redis-connection)/
const DRAWING = /resvg|apps\/cli\/src\/map/
const OTHER_BACKENDS = /packages\/(xen|hyperv)\/|guests\/src\/(xen|hyperv)|native\/src\/xen/
const ALL_OF_ZOD = /zod\/v4\/classic/
/** Of QEMU, what a guest in files needs: its notes, and the names of its errors. */
const MONITOR = /packages\/qemu\/src\/(?!notes-elf|qemu-error)|qemu-guest\/src\/(open-qemu-guest|qemu-guest|live)/

describe('a command loads what it uses and nothing else', () => {
  test.each(['--version', '--help'])('%s', (option) => {
    const loaded = loadedBy([option])
    expect(loaded.files).toEqual(['bin/bundle-inputs.js', 'bin/ullage.js', 'dist/call.js', 'dist/main.js'])
    expect(sourcesOf(loaded).every((source) => source.startsWith('apps/cli/'))).toBe(true)
    expect(loaded.addons).toEqual([])
    for (const unused of ['crypto', 'zlib', 'child_process', 'worker_threads', 'http']) {
      expect(loaded.builtins).not.toContain(unused)
    }
  })

  test('a dump of a guest in files', async () => {
    const { descriptor } = await unpackFixture('virtio-v6.12-balloon')
    const loaded = loadedBy(['dump', descriptor, '-o', join(folder, 'files.vmcore')])
    expect(loaded.stdout).toMatch(/frames written/)
    const sources = sourcesOf(loaded)
    expect(sources).toContain('packages/virtio-balloon/src/open-files.ts')
    for (const unused of [SERVICES, DRAWING, OTHER_BACKENDS, ALL_OF_ZOD, MONITOR]) {
      expect(sources.filter((source) => unused.test(source))).toEqual([])
    }
    for (const unused of ['zlib', 'child_process', 'http']) expect(loaded.builtins).not.toContain(unused)
    // The addon, without the JavaScript that looks for it.
    expect(loaded.addons).toEqual([expect.stringMatching(/koffi\.node$/)])
    expect(loaded.files.filter((file) => file.includes('koffi') && file.endsWith('js'))).toEqual([])
  })

  test('a dump that is large enough to be read back by threads', () => {
    const descriptor = join(folder, 'large.json')
    const sizeBytes = 200 << 20
    writeFileSync(join(folder, 'large.raw'), randomBytes(sizeBytes))
    const regions = [{ gpa: 0, size: sizeBytes, file: 'large.raw', offset: 0 }]
    writeFileSync(descriptor, JSON.stringify({ backend: 'virtio-balloon', source: { kind: 'files', regions } }))
    const how = ['--trust', 'host', '--compress', 'none', '--jobs', '2']
    const loaded = loadedBy(['dump', descriptor, '-o', join(folder, 'large.vmcore'), ...how])
    expect(loaded.stdout).toMatch(/51200 frames written/)
    expect(modulesOf.get('dump-check-pages-worker.js')).toContain('packages/vmcore/src/page-verifier.ts')
  })

  test('a dump of a live guest', async () => {
    await using guest = await bootGuest({ era: 'bookworm', memMiB: 128 })
    const descriptor = join(folder, 'live.json')
    writeFileSync(
      descriptor,
      JSON.stringify({ backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } }),
    )
    const loaded = loadedBy(['dump', descriptor, '-o', join(folder, 'live.vmcore')])
    expect(loaded.stdout).toMatch(/guest paused/)
    const sources = sourcesOf(loaded)
    expect(sources).toContain('packages/qemu/src/pause-guest.ts')
    for (const unused of [SERVICES, DRAWING, OTHER_BACKENDS, ALL_OF_ZOD]) {
      expect(sources.filter((source) => unused.test(source))).toEqual([])
    }
  })

  test.each([
    [
      'dump-compress-worker.js',
      /^packages\/((native|vmcore|layout|pages)\/|dump\/src\/(compress-|batch-slots|decompress))/,
    ],
    [
      'dump-check-pages-worker.js',
      /^packages\/(vmcore|layout|pages|native|dump\/src\/(check-pages-worker|decompress))/,
    ],
    ['qemu-guardian-main.js', /^packages\/(qemu|native)\//],
    ['xen-guardian-main.js', /^packages\/(xen|native|layout|offline-query)\//],
  ])('%s', (file, allowed) => {
    const modules = modulesOf.get(file) ?? []
    expect(modules.length).toBeGreaterThan(0)
    expect(modules.filter((module) => !allowed.test(module))).toEqual([])
  })
})

describe('in a checkout', () => {
  const tamper = (change: (file: [string, number, number, string]) => [string, number, number, string]) => {
    const { entry, rest } = JSON.parse(inputs) as Record<'entry' | 'rest', [string, number, number, string][]>
    writeFileSync(inputsFile, JSON.stringify({ entry: entry.map(change), rest }))
  }
  const ran = () => loadedBy(['--version']).files.filter((file) => /main\.(js|ts)$/.test(file))

  test('the bundle runs while it is of the sources as they are', () => {
    expect(ran()).toEqual(['dist/main.js'])
    tamper(([path, size, mtimeMs, sha256]) => [path, size, mtimeMs - 1, sha256])
    expect(ran()).toEqual(['dist/main.js'])
  })

  test.each<[string, () => void]>([
    ['a source has another size', () => tamper(([path, size, ...rest]) => [path, size + 1, ...rest])],
    [
      'a source has other content',
      () => tamper(([path, size, mtimeMs, sha256]) => [path, size, mtimeMs - 1, sha256.replace(/^./, 'x')]),
    ],
    ['a source is gone', () => tamper(([, ...rest]) => ['apps/cli/src/gone.ts', ...rest])],
    ['it does not say what it was made of', () => writeFileSync(inputsFile, '{')],
    ['there is no list', () => rmSync(inputsFile)],
  ])('the sources run when %s', (_, change) => {
    change()
    expect(ran()).toEqual(['src/main.ts'])
  })

  test('a change of what a command needs is seen by that command', () => {
    const { entry, rest } = JSON.parse(inputs) as Record<'entry' | 'rest', [string, number, number, string][]>
    const stale = rest.map(([path, size, ...other]) => [path, path.endsWith('/verify.ts') ? size + 1 : size, ...other])
    writeFileSync(inputsFile, JSON.stringify({ entry, rest: stale }))
    expect(ran()).toEqual(['dist/main.js'])
    expect(loadedBy(['verify', '--help']).files).toContain('src/commands/verify.ts')
  })

  test('serve, which starts processes of sources, runs as source', () => {
    expect(loadedBy(['serve', '--help']).files).toContain('src/main.ts')
  })
})
