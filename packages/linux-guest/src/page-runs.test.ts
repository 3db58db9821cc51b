import { seeded } from '@ullage/lab'
import { expect, test } from 'vitest'
import { ERA_LINES } from '../test/era-lines.ts'
import { randomStructPages } from '../test/random-struct-pages.ts'
import { ClassRuns } from './class-runs.ts'
import { GUEST_CLASS, guestClasses } from './guest-class.ts'
import { PageClassifier } from './page-classifier.ts'
import { PageRules } from './page-rules.ts'
import { structPage } from './struct-page.ts'
import { Vmcoreinfo } from './vmcoreinfo.ts'

const SECTION_FRAMES = 2048
const SECTIONS = 60

const common = {
  OSRELEASE: 'x',
  'SIZE(page)': '64',
  'OFFSET(page.flags)': '0',
  'OFFSET(page._refcount)': '52',
  'OFFSET(page.mapping)': '24',
  'OFFSET(page._mapcount)': '48',
  'OFFSET(page.private)': '40',
  'LENGTH(zone.free_area)': '11',
}

const without = (lines: Readonly<Record<string, string>>, name: string): Record<string, string> =>
  Object.fromEntries(Object.entries(lines).filter(([key]) => key !== name))

/** Kernels of all kinds, and some that export less, or a flag where none has it. */
const kernels: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ...ERA_LINES,
  'of 56 bytes': { ...ERA_LINES['6.6'], 'SIZE(page)': '56' },
  'of 96 bytes': { ...ERA_LINES['7.2'], 'SIZE(page)': '96' },
  'without PG_private': without(ERA_LINES['6.12'], 'NUMBER(PG_private)'),
  'without PG_swapbacked': without(ERA_LINES['5.10'], 'NUMBER(PG_swapbacked)'),
  'without any flag': Object.fromEntries(Object.entries(ERA_LINES['6.6']).filter(([key]) => !key.includes('(PG_'))),
  'without a mark of tails': without(ERA_LINES['6.12'], 'OFFSET(page.compound_head)'),
  'with a high flag': { ...ERA_LINES['6.12'], 'NUMBER(PG_lru)': '40' },
  'with two flags in one bit': { ...ERA_LINES['6.12'], 'NUMBER(PG_private)': '5' },
  'with the sign bit': { ...ERA_LINES['6.12'], 'NUMBER(PG_swapcache)': '31', 'NUMBER(PG_lru)': '0' },
}

test.each(Object.entries(kernels))(
  '%s: pages counted in runs have the classes that they have one by one',
  (_name, lines) => {
    const all = Object.entries({ ...common, ...lines })
    const page = structPage(Vmcoreinfo.parse(all.map(([key, value]) => `${key}=${value}\n`).join('')))
    const classifier = new PageClassifier(page, SECTION_FRAMES)
    const rules = new PageRules(page, SECTION_FRAMES)
    const runs = new ClassRuns()
    const found = new Uint8Array(SECTION_FRAMES)
    const seen = new Set<number>()
    for (let section = 0; section < SECTIONS; section++) {
      const random = seeded(section)
      const words = randomStructPages(page, SECTION_FRAMES, random)
      const firstPfn = Math.floor(random() * 2 ** 20) * SECTION_FRAMES
      const tails =
        random() < 0.3 ? { frames: Math.floor(random() * SECTION_FRAMES), tailClass: GUEST_CLASS.user } : undefined
      // Heads stand at even frames, so a piece has an even number of them.
      const piece = 2 * Math.ceil(random() * (SECTION_FRAMES / 2))
      classifier.rules.start(firstPfn, tails)
      rules.start(firstPfn, tails)
      runs.start(SECTION_FRAMES)
      const expected: number[] = []
      for (let start = 0; start < SECTION_FRAMES; start += piece) {
        const count = Math.min(piece, SECTION_FRAMES - start)
        classifier.classify({ words, start: start * rules.stride, count }, runs, start)
        for (let i = 0; i < count; i++)
          expected.push(rules.classOfNext(words, (start + i) * rules.stride, i + 1 < count))
      }
      runs.writeTo(found)
      const wrong = expected.findIndex((code, i) => code !== found[i])
      expect([section, wrong, wrong === -1 ? '' : guestClasses[found[wrong] as number]]).toEqual([section, -1, ''])
      for (const code of expected) seen.add(code)
    }
    expect(seen.size).toBeGreaterThan(4)
  },
)
