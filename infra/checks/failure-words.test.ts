import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { failureWords } from '@ullage/dump-job'
import { expect, test } from 'vitest'

const root = new URL('../..', import.meta.url).pathname

/** Codes of errors that no dump ends with: each is caught and told by another one. */
const INNER = ['dm-message-error.ts']

const declared = globSync('packages/*/src/**/*-error.ts', { cwd: root, exclude: ['packages/lab/**'] })
  .filter((file) => !INNER.includes(basename(file)))
  .flatMap((file) => {
    const [, union = ''] =
      /export type \w+ErrorCode =([^;{]*?)\n\n/s.exec(readFileSync(`${root}/${file}`, 'utf8')) ?? []
    return [...union.matchAll(/'([A-Z_]+)'/g)].map(([, code]) => ({ file, code: String(code) }))
  })

test('there are words for a tenant for every code that packages declare', () => {
  expect(declared.length).toBeGreaterThan(40)
  expect(declared.filter(({ code }) => !Object.hasOwn(failureWords, code))).toEqual([])
})

test("and for every code in the table of the worker's README", () => {
  const table = readFileSync(`${root}/apps/worker/README.md`, 'utf8').split('## What becomes of a failure')[1] ?? ''
  const codes = [...table.matchAll(/^\| (`[A-Z_`, ]+`) \|/gm)].flatMap(([, cell]) => cell?.match(/[A-Z_]+/g) ?? [])
  expect(codes.length).toBeGreaterThan(15)
  expect(codes.filter((code) => !Object.hasOwn(failureWords, code))).toEqual([])
})
