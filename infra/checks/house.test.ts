import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { directions } from './directions.ts'
import { findBreaches } from './find-breaches.ts'
import { type Package, readPackages } from './read-packages.ts'

const root = new URL('../..', import.meta.url).pathname
const packages = readPackages(root)

test('every package imports only downwards, and only what it declares', () => {
  expect(packages.length).toBeGreaterThanOrEqual(16)
  expect(packages.flatMap((found) => found.imports).length).toBeGreaterThan(100)
  expect(findBreaches(packages)).toEqual([])
})

test('the project graph has the same directions and no cycle', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-graph-'))
  const file = join(folder, 'graph.json')
  execFileSync('npx', ['nx', 'graph', `--file=${file}`], { cwd: root, stdio: 'pipe' })
  const { graph } = JSON.parse(readFileSync(file, 'utf8')) as {
    graph: { nodes: Record<string, unknown>; dependencies: Record<string, { target: string }[]> }
  }
  rmSync(folder, { recursive: true })
  expect(Object.keys(graph.nodes).sort()).toEqual(packages.map(({ name }) => `@ullage/${name}`).sort())
  const testOnly = new Set(
    packages.flatMap((found) => found.devDependencies.map((name) => `@ullage/${found.name} ${name}`)),
  )
  for (const [source, edges] of Object.entries(graph.dependencies)) {
    for (const { target } of edges) {
      if (!target.startsWith('@ullage/') || testOnly.has(`${source} ${target}`)) continue
      expect(directions[source.replace('@ullage/', '')], `${source} → ${target}`).toContain(
        target.replace('@ullage/', ''),
      )
    }
  }
})

const good: Package = {
  name: 'pages',
  folder: 'packages/pages',
  dependencies: [],
  devDependencies: [],
  imports: [],
  readsEnvironment: [],
}

test.each<[string, Partial<Package>, RegExp]>([
  ['a base package that depends on a backend', { dependencies: ['@ullage/virtio-balloon'] }, /may not depend on/],
  [
    'a backend that imports a backend',
    {
      name: 'virtio-balloon',
      folder: 'packages/virtio-balloon',
      dependencies: ['@ullage/xen'],
      imports: [{ file: 'packages/virtio-balloon/src/a.ts', specifier: '@ullage/xen', isTest: false }],
    },
    /may not import @ullage\/xen/,
  ],
  [
    'an import that package.json does not declare',
    { imports: [{ file: 'packages/pages/src/a.ts', specifier: 'zod', isTest: false }] },
    /does not declare/,
  ],
  [
    'a relative import into another package',
    { imports: [{ file: 'packages/pages/src/a.ts', specifier: '../../layout/src/struct.ts', isTest: false }] },
    /leaves the package/,
  ],
  [
    'HTTP below the apps',
    { imports: [{ file: 'packages/pages/src/a.ts', specifier: 'node:http', isTest: false }] },
    /only apps know services/,
  ],
  [
    'a queue below the apps, in the package that may know Redis',
    {
      name: 'redis-connection',
      folder: 'packages/redis-connection',
      dependencies: ['bullmq'],
      imports: [{ file: 'packages/redis-connection/src/a.ts', specifier: 'bullmq', isTest: false }],
    },
    /only apps know services/,
  ],
  ['the environment below the apps', { readsEnvironment: ['packages/pages/src/a.ts'] }, /only apps read/],
  ['a package nobody placed', { name: 'new', folder: 'packages/new' }, /does not know/],
])('finds %s', (_, change, message) => {
  expect(findBreaches([good])).toEqual([])
  expect(findBreaches([{ ...good, ...change }]).join('\n')).toMatch(message)
})
