import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isForeign, manifestOf } from './list-inputs.ts'

/** The licences of other people's packages that `modules` (absolute paths) are from, as they ask to be passed on. */
export function licencesOf(modules: Iterable<string>): string {
  const manifests = new Set([...modules].filter(isForeign).map(manifestOf))
  const texts = [...manifests].sort().map((manifest) => {
    const { name, version } = JSON.parse(readFileSync(manifest, 'utf8')) as { name: string; version: string }
    const [file] = globSync('LICEN[CS]E*', { cwd: dirname(manifest) })
    if (file === undefined) throw new Error(`expected ${name} to have a licence beside ${manifest}, found none`)
    return `${name} ${version}\n\n${readFileSync(join(dirname(manifest), file), 'utf8').trim()}\n`
  })
  return texts.join('\n')
}
