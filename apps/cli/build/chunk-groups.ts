import type { CodeSplittingGroup } from 'rolldown'

/**
 * What is bundled into one file though not everybody needs all of it: a file more costs more than some KiB that are not
 * run. All else is split by who needs it. A group takes with it what it imports, unless an earlier one has that.
 */
export const chunkGroups: CodeSplittingGroup[] = [
  { name: 'call', test: /apps\/cli\/src\/(exit-status|usage-error|parse-call|state-dir|human)\.ts/ },
  { name: 'base', test: /packages\/(layout|pages|offline-query)\// },
  { name: 'vmcore', test: /packages\/vmcore\// },
  { name: 'host', test: /packages\/(native\/src\/(?!xen)|host-memory)/ },
  // Of QEMU, what guests in files need too: without what it imports, which is all of QEMU.
  {
    name: 'qemu-files',
    test: /qemu(-guest)?\/src\/(notes-elf|qemu-error|opened-ram|machine-of|to-offline-error)\.ts/,
    includeDependenciesRecursively: false,
  },
  { name: 'qemu', test: /packages\/qemu(-guest)?\/src\// },
  { name: 'engine', test: /packages\/(dump|linux-guest)\/src\//, minShareCount: 2 },
  { name: 'descriptor', test: /node_modules\/zod\/(?!v4\/classic)|packages\/guests\/src\/(?!.*-source\.ts)/ },
].map((group, index) => ({ ...group, priority: 100 - index }))
