import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { debianMirrors } from './apt-sources.mjs'

const folders: string[] = []

/** A folder such as /etc/apt with these files. */
function etcApt(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-apt-'))
  folders.push(folder)
  mkdirSync(join(folder, 'sources.list.d'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

describe('debianMirrors', () => {
  test('reads stanzas, with comments, continued lines and several values', () => {
    const folder = etcApt({
      'sources.list.d/debian.sources': [
        '# the machine’s own',
        'Types: deb deb-src',
        '# an older snapshot',
        'URIs: http://mirror.example/debian http://other.example/debian',
        'Suites: bookworm',
        ' bookworm-updates',
        'Components: main contrib',
        'Signed-By: /keys/debian.gpg',
        '',
        'Types: deb',
        'URIs: http://mirror.example/debian-security',
        'Suites: bookworm-security',
        'Components: main',
      ].join('\n'),
    })
    expect(debianMirrors(folder)).toEqual({
      main: { uri: 'http://mirror.example/debian', keyring: '/keys/debian.gpg' },
      security: { uri: 'http://mirror.example/debian-security', keyring: KEYRING },
    })
  })

  test('reads lines, with options and comments', () => {
    const folder = etcApt({
      'sources.list': [
        '# deb http://commented.example/debian bookworm main',
        'deb [arch=amd64 signed-by=/keys/debian.gpg] https://mirror.example/debian/ bookworm main # near',
        'deb-src https://mirror.example/debian bookworm main',
        'deb https://mirror.example/debian-security bookworm-security main',
      ].join('\n'),
    })
    expect(debianMirrors(folder)).toEqual({
      main: { uri: 'https://mirror.example/debian/', keyring: '/keys/debian.gpg' },
      security: { uri: 'https://mirror.example/debian-security', keyring: KEYRING },
    })
  })

  test('passes over other repositories and what is switched off', () => {
    const folder = etcApt({
      'sources.list.d/a.list':
        'deb https://else.example/repository nodistro main\ndeb https://else.example/r bookworm extra',
      'sources.list.d/b.sources':
        'Enabled: no\nTypes: deb\nURIs: http://off.example\nSuites: bookworm\nComponents: main\n',
      'sources.list.d/c.list.bak': 'deb http://ignored.example/debian bookworm main',
    })
    expect(debianMirrors(folder)).toEqual({ main: undefined, security: undefined })
  })

  test('knows a machine that names its suite by its role', () => {
    const folder = etcApt({ 'sources.list': 'deb http://mirror.example/debian oldstable main' })
    expect(debianMirrors(folder).main).toEqual({ uri: 'http://mirror.example/debian', keyring: KEYRING })
  })
})
