import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unpackFixture } from '@ullage/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const hook = fileURLToPath(new URL('./loaded-modules.mjs', import.meta.url))

/** Folders of the package in `folder` and of the packages of this repository that it needs. */
function withDependencies(folder: string): string[] {
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>
  }
  const names = Object.keys(manifest.dependencies ?? {}).flatMap((name) => name.split('@ullage/')[1] ?? [])
  const folders = names.map((name) => (existsSync(join(root, 'apps', name)) ? `apps/${name}` : `packages/${name}`))
  return [...new Set([folder, ...folders.flatMap(withDependencies)])]
}

describe('the packed command line, installed in an empty folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-pack-cli-'))
  const installed = join(folder, 'installed')
  const run = (command: string, args: readonly string[], cwd: string): string =>
    execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

  beforeAll(() => {
    const tarballs = join(folder, 'tarballs')
    mkdirSync(tarballs)
    mkdirSync(installed)
    // Packing the command line builds all that it needs.
    const workspaces = withDependencies('apps/cli').flatMap((name) => ['-w', name])
    run('npm', ['pack', '--silent', ...workspaces, '--pack-destination', tarballs], root)
    writeFileSync(join(installed, 'package.json'), '{ "private": true, "type": "module" }')
    const files = readdirSync(tarballs).map((name) => join(tarballs, name))
    run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', ...files], installed)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const ullage = (...args: string[]): string => {
    const bin = join(installed, 'node_modules/.bin/ullage')
    return execFileSync(process.execPath, ['--import', hook, bin, ...args], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, LOADED_MODULES: join(folder, 'loaded.json') },
    })
  }

  test('is a bundle: no sources, and nothing of what it was made of', () => {
    const files = readdirSync(join(installed, 'node_modules/@ullage/cli'), { recursive: true, encoding: 'utf8' })
    expect(files).toEqual(expect.arrayContaining(['bin/ullage.js', 'dist/main.js', 'dist/qemu-guardian-main.js']))
    expect(files.filter((name) => name.endsWith('.ts') || name.endsWith('inputs.json'))).toEqual([])
    expect(ullage('--version')).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('dumps, with its own threads and none of the packages that it was made of', async () => {
    const { descriptor } = await unpackFixture('virtio-v6.12-balloon')
    expect(ullage('dump', descriptor, '-o', 'web-1.vmcore')).toMatch(/frames written/)
    const { urls } = JSON.parse(readFileSync(join(folder, 'loaded.json'), 'utf8')) as { urls: string[] }
    const ours = urls.flatMap((url) => /@ullage\/(\w+)\//.exec(url)?.[1] ?? [])
    expect(new Set(ours)).toEqual(new Set(['cli']))
    expect(ullage('verify', 'web-1.vmcore')).toMatch(/^web-1\.vmcore: good:/)
  })

  test('finds the service, and what draws', () => {
    expect(ullage('serve', '--help')).toMatch(/^usage: ullage serve/)
    for (const name of [
      '@ullage/api/main',
      '@ullage/worker/main',
      '@resvg/resvg-js',
      'dejavu-fonts-ttf/package.json',
    ]) {
      const script = `console.log(import.meta.resolve(${JSON.stringify(name)}))`
      const cli = join(installed, 'node_modules/@ullage/cli')
      expect(run(process.execPath, ['--input-type=module', '-e', script], cli)).toMatch(/^file:/)
    }
  })
})
