import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

// Node knows no 'module': what it names is often no module of Node's.
const resolve = { conditions: ['@ullage/source', ...defaultServerConditions.filter((name) => name !== 'module')] }

export default defineConfig({
  resolve,
  ssr: { resolve },
  test: {
    name: 'long',
    include: ['{packages,apps}/*/test/**/*.long.test.ts'],
    execArgv: ['--conditions=@ullage/source'],
    testTimeout: 900_000,
    hookTimeout: 900_000,
    // Most of them wait for most of their time: for guests that boot, locks that end, tries that come later.
    maxWorkers: 2,
  },
})
