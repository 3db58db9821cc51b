import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

export interface Import {
  /** Path of the importing file, relative to the root. */
  readonly file: string
  readonly specifier: string
  readonly isTest: boolean
}

export interface Package {
  /** Without the scope. */
  readonly name: string
  readonly folder: string
  readonly dependencies: readonly string[]
  readonly devDependencies: readonly string[]
  readonly imports: readonly Import[]
  /** Files that read the environment, relative to the root. */
  readonly readsEnvironment: readonly string[]
}

/** Static and dynamic imports, and any call with one of our packages as its only argument (require, resolve). */
const IMPORT =
  /(?:^|[\s;}])(?:import|export)\s+(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*[,)]|\(\s*['"](@ullage\/[^'"]+)['"]\s*\)/g

/** Every workspace package under `root`, with what it declares and what its sources import. */
export function readPackages(root: string): Package[] {
  return globSync(['packages/*/package.json', 'apps/*/package.json', 'infra/package.json'], { cwd: root })
    .sort()
    .map((manifest) => readPackage(root, dirname(resolve(root, manifest))))
}

function readPackage(root: string, folder: string): Package {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name: string
    dependencies?: Record<string, string>
    devDependencies?: Record<string, string>
  }
  const files = globSync('**/*.ts', {
    cwd: folder,
    exclude: (path) => /(^|\/)(node_modules|dist|fixtures)(\/|$)/.test(path),
  }).sort()
  const sources = files.map((file) => {
    const path = join(folder, file)
    return { file: relative(root, path), text: readFileSync(path, 'utf8'), isTest: isTest(file) }
  })
  return {
    name: manifest.name.replace('@ullage/', ''),
    folder: relative(root, folder),
    dependencies: Object.keys(manifest.dependencies ?? {}),
    devDependencies: Object.keys(manifest.devDependencies ?? {}),
    imports: sources.flatMap(({ file, text, isTest }) =>
      [...text.matchAll(IMPORT)]
        .map((match) => ({ file, isTest, specifier: (match[1] ?? match[2] ?? match[3]) as string }))
        // Code that a test writes into a string, to be run elsewhere.
        .filter(({ specifier }) => !specifier.includes('${')),
    ),
    readsEnvironment: sources
      .filter(
        ({ text, isTest }) =>
          !isTest && /\bprocess\.env\b|\benv\b[^=\n]*\}\s*=\s*process\b|['"](?:node:)?process['"]/.test(text),
      )
      .map(({ file }) => file),
  }
}

function isTest(file: string): boolean {
  return file.endsWith('.test.ts') || /^(test|bench|build|checks|demo)\//.test(file) || file.endsWith('.config.ts')
}
