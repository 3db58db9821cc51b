import { globSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type OutputChunk, type OutputOptions, rolldown } from 'rolldown'
import { builtinsAsNeeded } from './builtins-as-needed.ts'
import { chunkGroups } from './chunk-groups.ts'
import { entryPoints } from './entry-points.ts'
import { licencesOf } from './licences-of.ts'
import { listInputs } from './list-inputs.ts'

const root = join(import.meta.dirname, '../../..')
const cli = join(import.meta.dirname, '..')
const MAIN = 'main.js'

/** What is not bundled: native code, which is looked for beside its own package. */
const EXTERNAL = [/^node:/, 'koffi', '@resvg/resvg-js', '@aws-sdk/client-s3']

/**
 * Bundles the command line from the sources into `dist`, in place of what is there: an entry point, a file for each command
 * and for what some of them share, and a file for each process or thread that they start. `inputs.json` tells what it was
 * made of. Returns the files.
 */
export async function bundleCli(): Promise<readonly OutputChunk[]> {
  const folder = mkdtempSync(join(cli, '.bundle-'))
  const made = join(folder, 'dist')
  try {
    const modules = new Set<string>()
    const started = new Map<string, string>()
    const options = { dir: made, modules, started }
    const main = await bundle(join(cli, 'src/main.ts'), MAIN, { ...options, splitting: { groups: chunkGroups } })
    const chunks = [...main]
    // Each loads all it has at once, in a thread or process of its own. The map grows while it is gone through.
    for (const [name, source] of started) chunks.push(...(await bundle(source, name, { ...options, splitting: false })))
    writeFileSync(join(made, 'LICENCES'), licencesOf(modules))
    writeFileSync(join(made, 'inputs.json'), JSON.stringify(inputsOf(main, modules)))
    const dist = join(cli, 'dist')
    rmSync(dist, { recursive: true, force: true })
    renameSync(made, dist)
    return chunks
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Bundles the module at `source` into `name` in `dir`, and adds to `modules` what it is made of, to `started` what it starts. */
async function bundle(
  source: string,
  name: string,
  options: {
    dir: string
    modules: Set<string>
    started: Map<string, string>
    splitting: OutputOptions['codeSplitting']
  },
): Promise<readonly OutputChunk[]> {
  await using bundler = await rolldown({
    input: { [name.replace(/\.js$/, '')]: source },
    cwd: root,
    platform: 'node',
    external: EXTERNAL,
    // What a thread loads by its name is a module like any other: its exports are asked for.
    preserveEntrySignatures: options.splitting === false ? 'strict' : false,
    resolve: { conditionNames: ['@ullage/source', 'node', 'import', 'default'] },
    // No module does anything by being imported, but for entry points: see `entryPoints`.
    treeshake: { moduleSideEffects: false },
    plugins: [
      entryPoints(options.started),
      builtinsAsNeeded(),
      { name: 'note-modules', moduleParsed: ({ id }) => void options.modules.add(id) },
    ],
    checks: { pluginTimings: false },
  })
  const { output } = await bundler.write({
    dir: options.dir,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    codeSplitting: options.splitting ?? true,
    comments: { legal: true, annotation: false, jsdoc: false },
  })
  return output.filter((file) => file.type === 'chunk')
}

/** See bin/bundle-inputs.js, which reads it. `entry`: of the entry point and what it imports. */
function inputsOf(chunks: readonly OutputChunk[], modules: ReadonlySet<string>) {
  const imported = new Set([MAIN])
  for (const name of imported) {
    for (const other of chunks.find(({ fileName }) => fileName === name)?.imports ?? []) imported.add(other)
  }
  const entry = new Set(chunks.filter(({ fileName }) => imported.has(fileName)).flatMap(({ moduleIds }) => moduleIds))
  const sources = globSync(join(import.meta.dirname, '*.ts'))
  const rest = [...modules, ...sources].filter((id) => !entry.has(id))
  return { entry: listInputs(root, entry), rest: listInputs(root, rest) }
}
