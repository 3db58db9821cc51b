import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

// Node knows no 'module': what it names is often no module of Node's.
const resolve = { conditions: ['@ullage/source', ...defaultServerConditions.filter((name) => name !== 'module')] }
const ssr = { resolve }
// Child processes and worker threads started by tests use the sources too.
const execArgv = ['--conditions=@ullage/source']

export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: ['{packages,apps}/*/src/**/*.test.ts', 'infra/**/*.test.ts'],
          // A busy machine is slow, not wrong.
          testTimeout: 120_000,
          execArgv,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'real',
          include: ['{packages,apps}/*/test/**/*.test.ts'],
          exclude: ['**/*.{long,lab}.test.ts', '**/node_modules/**'],
          execArgv,
          testTimeout: 120_000,
          hookTimeout: 240_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
