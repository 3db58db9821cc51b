import { isBuiltin } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import { apps, directions, serviceModules, servicePackages, testPackages } from './directions.ts'
import type { Package } from './read-packages.ts'

const SCOPE = '@ullage/'

/** Declared at the root for every test. */
const TEST_TOOLS = ['vitest', 'vite', 'fast-check', 'nx']

/** Every breach of the import directions in `packages`, one sentence each. */
export function findBreaches(packages: readonly Package[]): string[] {
  return packages.flatMap((found) => {
    const allowed = directions[found.name]
    if (!allowed) return [`${found.folder}: a package that the table of directions does not know`]
    return [...declared(found, allowed), ...imported(found, allowed), ...services(found)]
  })
}

function declared(found: Package, allowed: readonly string[]): string[] {
  return found.dependencies
    .filter((name) => name.startsWith(SCOPE) && !allowed.includes(name.slice(SCOPE.length)))
    .map((name) => `${found.folder}/package.json: ${found.name} may not depend on ${name}`)
}

function imported(found: Package, allowed: readonly string[]): string[] {
  return found.imports.flatMap(({ file, specifier, isTest }) => {
    if (specifier.startsWith('.')) {
      const target = normalize(join(dirname(file), specifier))
      return target.startsWith(`${found.folder}/`) ? [] : [`${file}: ${specifier} leaves the package`]
    }
    if (isBuiltin(specifier)) return []
    const name = packageOf(specifier)
    if (name === `${SCOPE}${found.name}`) return isTest ? [] : [`${file}: a package does not import itself`]
    const isDeclared =
      found.dependencies.includes(name) ||
      (isTest && (found.devDependencies.includes(name) || TEST_TOOLS.includes(name)))
    if (!isDeclared) return [`${file}: imports ${name}, which ${found.folder}/package.json does not declare`]
    const mayImport = !name.startsWith(SCOPE) || allowed.includes(name.slice(SCOPE.length)) || isTest
    return mayImport ? [] : [`${file}: ${found.name} may not import ${name}`]
  })
}

function services(found: Package): string[] {
  if (apps.includes(found.name) || testPackages.includes(found.name)) return []
  return [
    ...found.imports
      .filter(({ specifier, isTest }) => !isTest && !servicePackages[found.name]?.test(specifier))
      .filter(({ specifier }) => serviceModules.some((module) => module.test(specifier)))
      .map(({ file, specifier }) => `${file}: only apps know services, this imports ${specifier}`),
    ...found.readsEnvironment.map((file) => `${file}: only apps read the environment`),
  ]
}

function packageOf(specifier: string): string {
  const [first, second] = specifier.split('/')
  return specifier.startsWith('@') ? `${first}/${second}` : (first as string)
}
