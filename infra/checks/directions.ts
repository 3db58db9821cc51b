/**
 * Who may import whom: app → engine → contract → base, never back, and never a backend from a backend. A package's
 * allowed imports include what it may import at run time; tests may import `lab` besides.
 */
export const directions: Readonly<Record<string, readonly string[]>> = {
  pages: [],
  layout: [],
  native: [],
  'offline-query': ['pages'],
  'host-memory': ['pages', 'native'],
  'linux-guest': ['pages', 'layout'],
  qemu: ['pages', 'native', 'layout'],
  'qemu-guest': ['pages', 'offline-query', 'host-memory', 'qemu', 'layout'],
  'virtio-balloon': ['pages', 'offline-query', 'host-memory', 'qemu', 'qemu-guest', 'layout'],
  xen: ['pages', 'layout', 'offline-query', 'host-memory', 'native'],
  hyperv: ['pages', 'layout', 'offline-query', 'host-memory', 'qemu', 'qemu-guest', 'native'],
  vmcore: ['pages', 'layout'],
  guests: ['offline-query', 'virtio-balloon', 'xen', 'hyperv'],
  dump: ['pages', 'layout', 'offline-query', 'linux-guest', 'vmcore', 'native'],
  'dump-job': [],
  client: [],
  'artifact-store': ['dump-job'],
  traces: ['dump-job'],
  'redis-connection': ['dump-job'],
  lab: ['pages', 'layout', 'native', 'offline-query', 'host-memory', 'qemu', 'vmcore'],
  api: ['dump-job', 'artifact-store', 'redis-connection', 'traces', 'native'],
  worker: [
    'dump-job',
    'artifact-store',
    'redis-connection',
    'traces',
    'dump',
    'guests',
    'offline-query',
    'vmcore',
    'native',
  ],
  cli: ['pages', 'dump', 'guests', 'offline-query', 'vmcore', 'native', 'api', 'worker', 'dump-job', 'artifact-store'],
  infra: ['lab', 'dump', 'guests', 'native', 'vmcore', 'dump-job', 'api', 'worker'],
}

/** What knows HTTP, queues or databases, and so belongs to apps. */
export const serviceModules: readonly RegExp[] = [
  /^fastify/,
  /^@fastify\//,
  /^bullmq$/,
  /^ioredis$/,
  /^node:https?$/,
  /^node:sqlite$/,
]

/** Packages that are there for one of these, and may know that one. */
export const servicePackages: Readonly<Record<string, RegExp>> = { 'redis-connection': /^ioredis$/ }

export const apps: readonly string[] = ['api', 'worker', 'cli']

/** Packages that only tests, demo and benchmarks use. They may know services and the environment. */
export const testPackages: readonly string[] = ['lab', 'infra']
