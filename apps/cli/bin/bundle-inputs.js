const { readFileSync, statSync } = process.getBuiltinModule('node:fs')
const { fileURLToPath } = process.getBuiltinModule('node:url')

/** Calls that run nothing but what the entry point of the bundle imports. */
const LIGHT = [undefined, '--version', 'version', '--help', '-h', 'help']

/**
 * True when `bundle` (URL of its entry point) was made of the files below `root` (URL) as they are now: all that a call with
 * the first argument `command` may run. A file with another time than then is compared by content, so that a copied checkout
 * keeps its bundle. A bundle that does not tell what it was made of is not fresh.
 */
export function isFresh({ bundle, root, command }) {
  const inputs = readInputs(new URL('inputs.json', bundle))
  if (inputs === undefined) return false
  const folder = fileURLToPath(root)
  const files = LIGHT.includes(command) ? inputs.entry : [...inputs.entry, ...inputs.rest]
  const touched = []
  for (const [path, sizeBytes, mtimeMs, sha256] of files) {
    const found = statSync(folder + path, { throwIfNoEntry: false })
    if (found?.size !== sizeBytes) return false
    if (found.mtimeMs !== mtimeMs) touched.push([folder + path, sha256])
  }
  if (touched.length === 0) return true
  const { hash } = process.getBuiltinModule('node:crypto')
  return touched.every(([path, sha256]) => hash('sha256', readFileSync(path)) === sha256)
}

/** Undefined where there are none that can be read. */
function readInputs(file) {
  try {
    const { entry, rest } = JSON.parse(readFileSync(file, 'utf8'))
    return Array.isArray(entry) && Array.isArray(rest) ? { entry, rest } : undefined
  } catch {
    return undefined
  }
}
