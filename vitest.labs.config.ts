import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

// Node knows no 'module': what it names is often no module of Node's.
const resolve = { conditions: ['@ullage/source', ...defaultServerConditions.filter((name) => name !== 'module')] }

/** Whole emulated hosts, a hypervisor and its guests inside: minutes each, and alone on the machine. */
export default defineConfig({
  resolve,
  ssr: { resolve },
  test: {
    name: 'labs',
    include: ['{packages,apps}/*/test/**/*.lab.test.ts'],
    execArgv: ['--conditions=@ullage/source'],
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
    fileParallelism: false,
  },
})
