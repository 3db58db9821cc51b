import { readApiConfig } from '@ullage/api'
import { readWorkerConfig } from '@ullage/worker'
import { describe, expect, test } from 'vitest'
import { deployedSettings, textOf } from './read-deployed.ts'

const apps = [
  { app: 'api', read: readApiConfig },
  { app: 'worker', read: readWorkerConfig },
] as const

describe.each(apps)('settings of the $app', ({ app, read }) => {
  const known = new Set(textOf(`../../apps/${app}/README.md`).match(/(?<=^\| `)ULLAGE_\w+(?=`)/gm))

  test.each(Object.entries(deployedSettings(app)))(
    'of %s are taken, and there is none that nobody reads',
    (_how, env) => {
      expect(() => read(env)).not.toThrow()
      expect(Object.keys(env).filter((name) => !known.has(name))).toEqual([])
      expect(Object.keys(env)).toContain('ULLAGE_REDIS_URL')
    },
  )
})

test('a setting with a wrong value would be noticed', () => {
  expect(() => readApiConfig({ ...deployedSettings('api').compose, ULLAGE_API_LISTEN: 'everywhere' })).toThrow(
    'ULLAGE_API',
  )
})

test.each(Object.entries(deployedSettings('worker')))('of %s the spool of whole dumps is not in memory', (how, env) => {
  const { spoolDir } = readWorkerConfig(env)
  expect(spoolDir).not.toMatch(/^\/(run|tmp|dev)\//)
  const mounts = {
    systemd: textOf('systemd/ullage-worker.service').replace(/^CacheDirectory=/gm, '/var/cache/'),
    compose: textOf('compose/compose.yaml'),
    kubernetes: textOf('kubernetes/worker.yaml'),
  }
  expect(mounts).toHaveProperty(how, expect.stringMatching(new RegExp(`(:|: |^)${spoolDir}( }|$)`, 'm')))
})
