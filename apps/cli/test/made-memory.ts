import { guestClasses, hostStates, type PagesReport, type PlanRun } from '@ullage/dump'
import type { NamedRange } from '../src/map/draw-map.ts'

const TiB_FRAMES = 2 ** 28

/** A guest of 1 TiB as a host may see it: mostly ballooned and free in places, with a few frames where they should not be. */
export function largeGuest(): { extents: NamedRange[]; runs: PlanRun[] } {
  const extents = [
    { name: 'pc.ram', start: 0, count: 0xa0 },
    { name: 'pc.ram', start: 0xc0, count: 0x80000 - 0xc0 },
    { name: 'pc.ram', start: 0x100000, count: TiB_FRAMES * 0.75 - 0x80000 },
    { name: 'vmem0', start: TiB_FRAMES, count: TiB_FRAMES / 4 },
  ]
  const code = (name: (typeof guestClasses)[number], state: (typeof hostStates)[number]) => ({
    guestClass: guestClasses.indexOf(name),
    hostState: hostStates.indexOf(state),
    fate: 0,
  })
  let seed = 7
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed / 2 ** 31
  }
  const runs: PlanRun[] = []
  for (const { name, start, count } of extents) {
    for (let at = start; at < start + count; ) {
      const part = (at - start) / count
      const left = start + count - at
      const pick = random()
      let run = { size: 512 + Math.floor(random() * 200_000), code: code('free', 'backed') }
      if (name === 'vmem0' && part > 0.5) run = { size: left, code: code('noStructPage', 'unbacked') }
      else if (part > 0.3 && part < 0.55 && pick < 0.9) run.code = code('offline', 'unbacked')
      else if (pick < 0.2) run.code = code('inUse', 'backed')
      else if (pick < 0.4) run.code = code('user', part < 0.1 ? 'swapped' : 'backed')
      else if (pick < 0.55) run.code = code('cache', 'backed')
      else if (pick < 0.6) run.code = code('cachePrivate', 'backed')
      else if (pick < 0.601) run = { size: 1, code: code('offline', 'backed') }
      else if (pick < 0.602) run = { size: 1, code: code('hwpoison', 'unknown') }
      else if (pick < 0.65) run.code = code('free', 'unbacked')
      const size = Math.min(run.size, left)
      runs.push({ start: at, count: size, ...run.code })
      at += size
    }
  }
  return { extents, runs }
}

/** The report that goes with `runs`. */
export function reportOf(runs: readonly PlanRun[], frameBytes = 4096): PagesReport {
  const matrix = Object.fromEntries(
    guestClasses.map((name, guestClass) => [
      name,
      Object.fromEntries(
        hostStates.map((state, hostState) => [
          state,
          runs
            .filter((run) => run.guestClass === guestClass && run.hostState === hostState)
            .reduce((sum, { count }) => sum + count, 0),
        ]),
      ),
    ]),
  ) as PagesReport['frames']['byClass']
  const total = runs.reduce((sum, { count }) => sum + count, 0)
  return {
    guest: {
      backend: 'virtio-balloon',
      kernel: '6.12.107 <made>',
      vmcoreinfo: 'note',
      pageSize: frameBytes,
      machine: 'x86_64',
    },
    frames: { total, byClass: matrix, byFate: { write: total, zero: 0, leaveOut: 0 } },
    disagreements: {
      reclaimableBytes: 0,
      untouched: 0,
      inUseUnbacked: 0,
      idleUnbacked: 0,
      offlineUntold: 0,
      missing: 0,
      protectedUnbacked: 0,
      notAsked: 0,
      wordLost: false,
      alarm: false,
    },
    trust: 'guest',
    consistency: { mode: 'live', pausedMs: 0 },
    warnings: [],
  }
}
