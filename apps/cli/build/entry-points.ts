import { dirname, join } from 'node:path'
import type { Plugin } from 'rolldown'

/** How a module names one beside it that it starts as a process or thread: as source, or as what was made of it. */
const ENTRY_POINT = /'\.\/([\w-]+)\.ts' : '\.\/\1\.js'/g

const FOR_ITS_EFFECT = /^import '/m
const BESIDE_ITSELF = /new URL\([^;]*?import\.meta\.url\)/g

/**
 * Notes in `found` what the bundled modules start as processes and threads (the file's name in the bundle, and its source),
 * and has them start that. Fails the build for what the bundle would not have: a file that a module looks for beside itself in
 * any other way, and a module of ours that is imported for what it does.
 */
export function entryPoints(found: Map<string, string>): Plugin {
  return {
    name: 'entry-points',
    transform(code, id) {
      if (id.includes('/node_modules/')) return null
      let count = 0
      const changed = code.replace(ENTRY_POINT, (_, name: string) => {
        count++
        const bundled = bundledName(id, name)
        found.set(bundled, join(dirname(id), `${name}.ts`))
        return `'' : './${bundled}'`
      })
      const looked = code.match(BESIDE_ITSELF)?.length ?? 0
      if (FOR_ITS_EFFECT.test(code)) this.error(`${id}: imports a module for what it does, which the bundle leaves out`)
      if (looked > count) this.error(`${id}: looks for a file beside itself that the bundle would not have`)
      return count === 0 ? null : { code: changed, map: null }
    },
  }
}

/** With the name of the package: two packages may each have a `guardian-main`. */
function bundledName(id: string, name: string): string {
  const folder = /\/(?:packages|apps)\/([\w-]+)\//.exec(id)?.[1]
  if (folder === undefined) throw new Error(`expected a module of a package here, found ${id}`)
  return `${folder}-${name}.js`
}
