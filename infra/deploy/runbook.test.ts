import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { pathOf, textOf } from './read-deployed.ts'

const apps = pathOf('../../apps')
const sources = globSync([`${apps}/{api,worker}/src/**/*.ts`, `${apps}/../packages/*/src/**/*.ts`])
  .filter((path) => !path.endsWith('.test.ts'))
  .map((path) => readFileSync(path, 'utf8'))
  .join('\n')
const words = (pattern: RegExp) => [...new Set(textOf('runbook.md').match(pattern))]

test.each([
  ['setting', /\bULLAGE_[A-Z_]+/g],
  ['code', /(?<=`)[A-Z]+_[A-Z_]+(?=`)/g],
])('each %s that the runbook names is one', (_what, pattern) => {
  const named = words(pattern)
  expect(named.length).toBeGreaterThan(4)
  expect(named.filter((name) => !new RegExp(`\\b${name}\\b`).test(sources))).toEqual([])
})

test('each route that the runbook asks is one', () => {
  const paths = words(/(?<=\bapi '?)\/v1\/[\w/]+/g)
  expect(paths.length).toBeGreaterThan(3)
  expect(paths.filter((path) => !sources.includes(`'${path.replace('/ID', '/:id')}'`))).toEqual([])
})
