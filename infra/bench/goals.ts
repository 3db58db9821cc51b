import type { Codec } from './ullage.ts'

/** Parts of the benchmark that can be run alone. */
export const GROUPS = ['whole', 'filter', 'pause', 'floor', 'classify', 'memory', 'start'] as const
export type Group = (typeof GROUPS)[number]

/** A figure of samples: the median over the rounds of a field, added up over the keys, by `perField` of the same run. */
export interface Measured {
  readonly of: readonly string[]
  readonly field: string
  readonly perField?: string
}

/** A row of the table: ours by the peer's is to be at most `goal`. */
export interface Row {
  readonly group: Group
  readonly what: string
  readonly peer: string
  readonly unit: 'ms' | 'ms/GiB' | 'bytes'
  readonly ours: Measured
  readonly theirs: Measured | number
  /** Left out where nothing is promised. */
  readonly goal?: number
  /** Whose files are compared, where both write one. */
  readonly bytes?: { readonly ours: string; readonly theirs: string; readonly goal: number }
  /** Shown in the picture under this name. */
  readonly picture?: string
}

/** Keys of samples. */
export const keys = {
  whole: 'ullage live 31 lzo',
  running: 'ullage running 31 lzo',
  elf: 'qemu elf',
  kdumpZlib: 'qemu kdump-zlib',
  dump: (input: Input, { level, codec }: Filter) => `ullage ${input} ${level} ${codec}`,
  verify: ({ level, codec }: Filter) => `ullage verify ${level} ${codec}`,
  makedumpfile: ({ level, codec }: Filter) => `makedumpfile ${level} ${codec}`,
  large: 'ullage dump of 1 TiB',
  classify: (gib: number) => `classify ${gib} GiB`,
  floor: 'each part alone',
  version: 'ullage --version',
  node: 'node -e 0',
  small: 'ullage dump of a small guest',
} as const

/** What a dump of a file reads: the guest's RAM file with its holes, or QEMU's dense ELF, the very file of the peer. */
export type Input = 'ram' | 'elf'

export interface Filter {
  readonly level: number
  readonly codec: Codec
  /** Of the peer's wall time. */
  readonly goal?: number
  /** Of the peer's bytes. */
  readonly bytesGoal: number
}

export const SIZE_GOAL = 1.05

/** Dumps of the same memory from files, against makedumpfile in one thread. */
export const FILTERS: readonly Filter[] = [
  { level: 31, codec: 'lzo', goal: 0.8, bytesGoal: SIZE_GOAL },
  { level: 1, codec: 'lzo', goal: 0.6, bytesGoal: SIZE_GOAL },
  { level: 1, codec: 'zstd', goal: 0.6, bytesGoal: SIZE_GOAL },
  { level: 1, codec: 'zlib', goal: 0.3, bytesGoal: SIZE_GOAL },
  { level: 31, codec: 'zstd', bytesGoal: 1 },
]

export const CLASSIFY_GIB = [1, 64, 1024] as const
const CLASSIFY_GOAL = 1.5
/** A GiB of a large guest may cost so much of what a GiB of a smaller one does. */
const LINEAR_GOAL = 1.1
const GIB = 2 ** 30

const FLAGS: Readonly<Record<Codec, string>> = { lzo: '-l', zstd: '-z', zlib: '-c' }
const INPUTS: Readonly<Record<Input, string>> = { ram: "the guest's RAM file", elf: 'the same ELF' }

const wall = (...of: readonly string[]): Measured => ({ of, field: 'wallMs' })
const cpu = (...of: readonly string[]): Measured => ({ of, field: 'cpuMs' })
const cpuPerGib = (...of: readonly string[]): Measured => ({ of, field: 'cpuMs', perField: 'gib' })

const level31Lzo = FILTERS[0] as Filter
const mostlyCompressed = FILTERS.filter(({ level }) => level === 1)

/** The table. */
export const ROWS: readonly Row[] = [
  {
    group: 'whole',
    what: 'whole job: guest → finished level 31 vmcore, lzo, verified',
    peer: 'QEMU ELF dump, then makedumpfile -l -d 31',
    unit: 'ms',
    ours: wall(keys.whole),
    theirs: wall(keys.elf, keys.makedumpfile(level31Lzo)),
    goal: 0.03,
    bytes: { ours: keys.whole, theirs: keys.makedumpfile(level31Lzo), goal: SIZE_GOAL },
    picture: 'whole job, level 31',
  },
  {
    group: 'whole',
    what: 'the same',
    peer: 'QEMU kdump-zlib',
    unit: 'ms',
    ours: wall(keys.whole),
    theirs: wall(keys.kdumpZlib),
    goal: 0.03,
    bytes: { ours: keys.whole, theirs: keys.kdumpZlib, goal: SIZE_GOAL },
    picture: 'whole job, level 31',
  },
  ...FILTERS.flatMap((filter) => (['ram', 'elf'] as const).map((input) => filterRow(filter, input))),
  ...FILTERS.flatMap((filter) => (['ram', 'elf'] as const).map((input) => cpuRow(filter, input))),
  ...mostlyCompressed.map(
    (filter): Row => ({
      group: 'filter',
      what: `verify, level ${filter.level}, ${filter.codec}: CPU`,
      peer: 'CPU of writing it',
      unit: 'ms',
      ours: cpu(keys.verify(filter)),
      theirs: cpu(keys.dump('ram', filter)),
      goal: 0.6,
    }),
  ),
  {
    group: 'pause',
    what: 'pause of a live guest, level 31, lzo',
    peer: '100 ms + 1.5 × copying struct pages and written pages',
    unit: 'ms',
    ours: { of: [keys.running], field: 'pausedMs' },
    theirs: { of: [keys.running], field: 'mayPauseMs' },
    goal: 1,
    picture: 'pause of a live guest',
  },
  {
    group: 'pause',
    what: 'whole job of a guest that runs, paused and resumed',
    peer: 'QEMU ELF dump, then makedumpfile -l -d 31',
    unit: 'ms',
    ours: wall(keys.running),
    theirs: wall(keys.elf, keys.makedumpfile(level31Lzo)),
  },
  ...CLASSIFY_GIB.map(
    (gib): Row => ({
      group: 'classify',
      what: `classify only, ${gib} GiB, per GiB, by a process that has done it before`,
      peer: 'reading the struct pages once',
      unit: 'ms/GiB',
      ours: { of: [keys.classify(gib)], field: 'classifyMsPerGib' },
      theirs: { of: [keys.classify(gib)], field: 'readMsPerGib' },
      goal: CLASSIFY_GOAL,
      picture: `classify ${gib} GiB`,
    }),
  ),
  ...CLASSIFY_GIB.map(
    (gib): Row => ({
      group: 'classify',
      what: `classify only, ${gib} GiB, per GiB, the first time in a process`,
      peer: 'reading the struct pages once',
      unit: 'ms/GiB',
      ours: { of: [keys.classify(gib)], field: 'firstMsPerGib' },
      theirs: { of: [keys.classify(gib)], field: 'readMsPerGib' },
    }),
  ),
  ...CLASSIFY_GIB.slice(1).map(
    (gib, i): Row => ({
      group: 'classify',
      what: `linear: a GiB of ${gib} GiB`,
      peer: `a GiB of ${CLASSIFY_GIB[i]} GiB`,
      unit: 'ms/GiB',
      ours: { of: [keys.classify(gib)], field: 'classifyMsPerGib' },
      theirs: { of: [keys.classify(CLASSIFY_GIB[i] as number)], field: 'classifyMsPerGib' },
      goal: LINEAR_GOAL,
    }),
  ),
  {
    group: 'memory',
    what: 'peak memory, dump of a 1 TiB guest, level 31, lzo',
    peer: '1 GiB',
    unit: 'bytes',
    ours: { of: [keys.large], field: 'peakBytes' },
    theirs: GIB,
    goal: 1,
  },
  {
    group: 'classify',
    what: 'peak memory, 1 TiB guest classified',
    peer: '1 GiB',
    unit: 'bytes',
    ours: { of: [keys.classify(1024)], field: 'peakBytes' },
    theirs: GIB,
    goal: 1,
  },
  {
    group: 'pause',
    what: 'peak memory, a running guest, its pages copied, level 31, lzo',
    peer: '1 GiB',
    unit: 'bytes',
    ours: { of: [keys.running], field: 'peakBytes' },
    theirs: GIB,
    goal: 1,
  },
  {
    group: 'filter',
    what: 'peak memory, level 1, zstd',
    peer: '1 GiB',
    unit: 'bytes',
    ours: { of: [keys.dump('ram', FILTERS[2] as Filter)], field: 'peakBytes' },
    theirs: GIB,
    goal: 1,
  },
  {
    group: 'start',
    what: 'ullage --version',
    peer: 'Node alone (node -e 0)',
    unit: 'ms',
    ours: wall(keys.version),
    theirs: wall(keys.node),
  },
  {
    group: 'start',
    what: 'dump of a kept guest of 192 MiB, level 31, zstd, verified',
    peer: 'Node alone (node -e 0)',
    unit: 'ms',
    ours: wall(keys.small),
    theirs: wall(keys.node),
  },
]

function filterRow(filter: Filter, input: Input): Row {
  const { level, codec, goal, bytesGoal } = filter
  const [ours, theirs] = [keys.dump(input, filter), keys.makedumpfile(filter)]
  return {
    group: 'filter',
    what: `level ${level}, ${codec}, from ${INPUTS[input]}`,
    peer: `makedumpfile ${FLAGS[codec]} -d ${level}, one thread`,
    unit: 'ms',
    ours: wall(ours),
    theirs: wall(theirs),
    ...(goal === undefined ? {} : { goal }),
    bytes: { ours, theirs, goal: bytesGoal },
    ...(goal === undefined ? {} : { picture: `level ${level}, ${codec}, from ${INPUTS[input]}` }),
  }
}

function cpuRow(filter: Filter, input: Input): Row {
  const { level, codec } = filter
  return {
    group: 'filter',
    what: `CPU per GiB written, level ${level}, ${codec}, from ${INPUTS[input]}`,
    peer: `makedumpfile ${FLAGS[codec]} -d ${level}`,
    unit: 'ms/GiB',
    ours: cpuPerGib(keys.dump(input, filter)),
    theirs: cpuPerGib(keys.makedumpfile(filter)),
    goal: 1,
  }
}
