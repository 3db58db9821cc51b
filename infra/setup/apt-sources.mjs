import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * The Debian mirrors this machine itself uses, from its own sources in either format: `{ main, security }`, each
 * `{ uri, keyring }` or undefined.
 */
export function debianMirrors(folder = '/etc/apt') {
  const entries = sourceFiles(folder).flatMap((path) => {
    const text = readFileSync(path, 'utf8')
    return path.endsWith('.sources') ? parseDeb822(text) : parseOneLine(text)
  })
  const debian = entries.filter(({ components }) => components.includes('main'))
  const find = (pattern) => debian.find(({ suites }) => suites.some((suite) => pattern.test(suite)))
  return { main: mirror(find(SUITE)), security: mirror(find(SECURITY)) }
}

const NAMES = 'bullseye|bookworm|trixie|forky|sid|oldoldstable|oldstable|stable|testing|unstable'
const SUITE = new RegExp(`^(${NAMES})$`)
const SECURITY = new RegExp(`^(${NAMES})-security/?$`)

function mirror(entry) {
  if (entry === undefined) return undefined
  return { uri: entry.uris[0], keyring: entry.signedBy?.startsWith('/') ? entry.signedBy : KEYRING }
}

function sourceFiles(folder) {
  const parts = join(folder, 'sources.list.d')
  const names = existsSync(parts) ? readdirSync(parts).sort() : []
  return [join(folder, 'sources.list'), ...names.map((name) => join(parts, name))].filter(
    (path) => /\.(list|sources)$/.test(path) && existsSync(path),
  )
}

/** Stanzas of `Key: value` lines, continued by lines that begin with a space (sources.list(5), DEB822-STYLE FORMAT). */
export function parseDeb822(text) {
  return text
    .replace(/^#.*\n?/gm, '')
    .split(/\n\s*\n/)
    .map((stanza) => {
      const fields = new Map()
      for (const [, key, value] of stanza.matchAll(/^([\w-]+):((?:.*)(?:\n[ \t].*)*)/gm))
        fields.set(key.toLowerCase(), value)
      const words = (key) => (fields.get(key) ?? '').split(/\s+/).filter(Boolean)
      return {
        types: words('types'),
        enabled: !/^(no|false|without|off|disable)$/i.test((fields.get('enabled') ?? 'yes').trim()),
        uris: words('uris'),
        suites: words('suites'),
        components: words('components'),
        signedBy: words('signed-by')[0],
      }
    })
    .filter(({ types, enabled, uris }) => enabled && types.includes('deb') && uris.length > 0)
}

/** `deb [option=value …] uri suite component …` (sources.list(5), ONE-LINE-STYLE FORMAT). */
export function parseOneLine(text) {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line)
    if (match === null) return []
    const [, options = '', uri, suite, rest] = match
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1]
    return [{ uris: [uri], suites: [suite], components: rest.split(/\s+/).filter(Boolean), signedBy }]
  })
}
