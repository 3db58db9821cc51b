import { join } from 'node:path'
import { crash } from '@ullage/lab'
import { describe, expect, test } from 'vitest'
import { formats, writeDump } from './write-dump.ts'
import { dir, guest, spec } from './dumped-guest.ts'

describe('crash recognises', () => {
  test.each(formats)('%s', async (format) => {
    const path = join(dir, `crash.${format}`)
    await writeDump(path, spec(format))
    for (const version of ['machine', 'newest'] as const) {
      const { stdout } = await crash(['--osrelease', path], { version })
      expect(stdout.trim()).toBe(guest.uname)
    }
  })
})
