/** What nobody measured: a fleet to think about. Change a figure here, and the tables follow. */
export const assumptions = {
  guestGib: [1024, 10_240],
  /** Compressing threads of a dump. */
  jobs: [2, 16],
  /** Pages of content of the guest's RAM, by level. Struct pages alone are 1/64 of it, and are always written. */
  writtenShare: { 31: 0.05, 1: 0.8 },
  codec: 'zstd',
  /** `--memory` of a dump. */
  memoryBytes: 256 * 2 ** 20,
  uplinkGbit: [10, 25, 100],
  fleet: {
    hosts: 1000,
    guestsPerHost: 20,
    guestGib: 64,
    level: 31,
    jobs: 16,
    concurrency: 1,
    hostGbit: 25,
    storageGbit: 100,
    /** All at once. */
    incidentShares: [0.01, 0.1],
    /** Of all guests an hour, evenly. */
    hourlyShare: 0.01,
  },
} as const

export type Level = keyof typeof assumptions.writtenShare
