import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PagesReport } from '@ullage/dump'
import { unpackFixture, unpackXenFixture } from '@ullage/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeMap } from '../src/map/map-file.ts'
import { MapPicture } from '../src/map/map-picture.ts'
import { largeGuest, reportOf } from './made-memory.ts'
import { runUllage } from './run-ullage.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-map-'))
afterAll(() => rmSync(folder, { recursive: true }))

let descriptor: string
beforeAll(async () => {
  descriptor = (await unpackFixture('virtio-v6.12-balloon')).descriptor
})

const pages = (...args: string[]) => runUllage(['pages', ...args], { cwd: folder, stateDir: join(folder, 'state') })

describe('pages', () => {
  test('prints sizes and shares, and counts in frames', async () => {
    const { stdout, status } = await pages(descriptor)
    expect(status).toBe(0)
    expect(stdout).toMatch(/^offline +- +80\.0 MiB +41\.7 % +80\.0 MiB +41\.7 % +20480$/m)
    expect(stdout).toMatch(/ 192\.0 MiB +100 % +49152$/m)
  })

  test('--map draws an SVG beside the JSON that it prints, for its owner alone', async () => {
    const { status, stdout } = await pages(descriptor, '--json', '--map', 'memory.svg')
    expect(status).toBe(0)
    const report = JSON.parse(stdout) as PagesReport
    expect(report.frames.total).toBe(49_152)
    const svg = readFileSync(join(folder, 'memory.svg'), 'utf8')
    expect(svg).toMatch(/^<svg [^>]*>[\s\S]*<\/svg>\n$/)
    for (const said of [
      '192.0 MiB of guest memory',
      '6.12.107+deb13-cloud-amd64',
      'section 1',
      '0x0',
      'host: unbacked',
    ]) {
      expect(svg).toContain(said)
    }
    expect(statSync(join(folder, 'memory.svg')).mode & 0o777).toBe(0o600)
  })

  test('--map draws a PNG where no font is installed, too', async () => {
    const { descriptor: xen } = await unpackXenFixture('xen-pvh')
    expect((await pages(xen, '--runs', '--map', 'memory.PNG')).status).toBe(0)
    const png = readFileSync(join(folder, 'memory.PNG'))
    expect(png.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))
    expect(png.readUInt32BE(16)).toBeGreaterThan(2000)
  })

  test.each([
    ['memory.gif', /\.svg or \.png/],
    ['memory', /\.svg or \.png/],
    ['taken.svg', /taken\.svg exists; nothing is overwritten/],
    ['none/memory.svg', /existing folder/],
  ])('--map %s is refused, and nothing is left', async (file, message) => {
    writeFileSync(join(folder, 'taken.svg'), 'mine')
    const before = readdirSync(folder)
    const { status, stderr } = await pages(descriptor, '--map', file)
    expect(status).toBe(2)
    expect(stderr).toMatch(message)
    expect(readdirSync(folder)).toEqual(before)
    expect(readFileSync(join(folder, 'taken.svg'), 'utf8')).toBe('mine')
  })
})

test('a terabyte is drawn in some thousand cells; what is rare is in the legend with its address', async () => {
  const { extents, runs } = largeGuest()
  const picture = new MapPicture()
  picture.begin({ frameBytes: 4096, extents, sectionFrames: 32_768 })
  for (const run of runs) picture.add(run)
  const svg = picture.draw('big', reportOf(runs))
  expect(svg.length).toBeLessThan(1_000_000)
  expect(svg).toContain('1.0 TiB of guest memory')
  expect(svg).toContain('sections 0–127')
  expect(svg).toMatch(/at 0x[0-9a-f]+ …/)
  // A guest's own name for its kernel is text, not markup.
  expect(svg).toContain('6.12.107 &lt;made&gt;')
  const png = await encodeMap(svg, 'png')
  expect(png.length).toBeGreaterThan(100_000)
})
