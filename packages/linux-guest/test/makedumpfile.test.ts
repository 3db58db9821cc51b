import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { FIXTURE_NAMES, makedumpfile, openMemoryView, unpackFixture } from '@ullage/lab'
import { afterEach, expect, test } from 'vitest'
import { openLinuxGuest } from '../src/index.ts'
import { classesOf, framesOf } from './classes-of.ts'
import { writeCoreFile } from './core-file.ts'

let core: string | undefined

afterEach(() => {
  if (core !== undefined) rmSync(core, { force: true })
})

/** A line such as `    Free pages              : 0x000000000000192c`. */
function reported(output: string, line: string): number {
  const value = new RegExp(`${line}\\s*: (0x[0-9a-f]+)`).exec(output)?.[1]
  if (value === undefined) throw new Error(`makedumpfile reported no ${line}:\n${output}`)
  return Number(value)
}

test.each(FIXTURE_NAMES)('makedumpfile counts the same frames of each class in %s', async (name) => {
  const fixture = await unpackFixture(name)
  using view = openMemoryView(fixture.regions)
  core = join(fixture.dir, '..', `${name}-${process.pid}.core`)
  writeCoreFile(core, view, fixture.elfNotes)
  // Level 30 leaves out everything but zero pages.
  const { stdout, stderr, status } = await makedumpfile(
    ['-d', '30', '--dry-run', '--message-level', '31', core, `${core}.dump`],
    { version: 'newest' },
  )
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })

  const guest = await openLinuxGuest(view, { elfNotes: fixture.elfNotes })
  const classes = classesOf(guest, view.extents)
  const counts = {
    cache: framesOf(classes, 'cache').length,
    cachePrivate: framesOf(classes, 'cachePrivate').length,
    user: framesOf(classes, 'user').length,
    free: framesOf(classes, 'free').length,
    hwpoison: framesOf(classes, 'hwpoison').length,
    offline: framesOf(classes, 'offline').length,
  }
  expect(counts).toEqual({
    cache: reported(stdout, 'Non-private cache pages'),
    cachePrivate: reported(stdout, 'Private cache pages'),
    user: reported(stdout, 'User process data pages'),
    free: reported(stdout, 'Free pages'),
    hwpoison: reported(stdout, 'Hwpoison pages'),
    offline: reported(stdout, 'Offline pages'),
  })
})
