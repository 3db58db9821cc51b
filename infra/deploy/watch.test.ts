import { execFileSync } from 'node:child_process'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { declaredMetrics, metricsIn } from './declared-metrics.ts'
import { pathOf, textOf } from './read-deployed.ts'

const cache = process.env.ULLAGE_CACHE ?? join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ullage')
const promtool = (...argv: string[]) =>
  execFileSync(join(cache, 'promtool/usr/bin/promtool'), argv, { cwd: pathOf('watch'), encoding: 'utf8' })

test('the alert rules fire when they should and only then, by promtool', () => {
  expect(promtool('check', 'config', '--syntax-only', 'prometheus.yaml')).toContain('SUCCESS')
  expect(promtool('test', 'rules', 'alerts.test.yaml')).toContain('SUCCESS')
})

test.each(['watch/alerts.yaml', 'watch/dashboard.json', 'runbook.md'])(
  'each metric in %s is one that the apps have',
  (file) => {
    const used = metricsIn(textOf(file))
    const declared = declaredMetrics()
    expect(used.length).toBeGreaterThan(2)
    expect(used.filter((name) => !declared.has(name))).toEqual([])
  },
)

test('each alert leads to a chapter of the runbook, and each panel has a query', () => {
  const chapters = [...textOf('runbook.md').matchAll(/^## (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^a-z0-9 ]/g, '')
      .replaceAll(' ', '-'),
  )
  const led = [...textOf('watch/alerts.yaml').matchAll(/runbook\.md#([\w-]+)/g)].map(([, anchor]) => anchor)
  expect(led).toHaveLength(textOf('watch/alerts.yaml').match(/- alert:/g)?.length ?? 0)
  expect(led.filter((anchor) => !chapters.includes(anchor ?? ''))).toEqual([])
  const { panels } = JSON.parse(textOf('watch/dashboard.json'))
  for (const { targets } of panels) expect(targets[0]?.expr).toMatch(/ullage_/)
})
