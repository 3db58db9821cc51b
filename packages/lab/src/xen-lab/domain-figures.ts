/** What the hypervisor itself prints of a domain (xen/common/keyhandler.c dump_domains, arch/x86/mm/p2m-pod.c). */
export interface DomainFigures {
  /** Pages the domain has, tot_pages. */
  readonly totalFrames: number
  /** How often it is held paused by tools. */
  readonly pauseCount: number
  /** Populate-on-demand: entries without memory yet, and memory kept for them; absent where there is none. */
  readonly populateOnDemand?: { readonly entries: number; readonly cacheFrames: number }
}

/** Reads what debug key `q` prints. */
export function parseDomainFigures(text: string): ReadonlyMap<number, DomainFigures> {
  const figures = new Map<number, DomainFigures>()
  for (const part of text.split(/General information for domain /).slice(1)) {
    const id = Number.parseInt(part, 10)
    const number = (pattern: RegExp): number => Number(pattern.exec(part)?.[1] ?? Number.NaN)
    const pod = /PoD entries=(\d+) cachesize=(\d+)/.exec(part)
    figures.set(id, {
      totalFrames: number(/nr_pages=(\d+)/),
      pauseCount: number(/pause_count=(\d+)/),
      ...(pod && { populateOnDemand: { entries: Number(pod[1]), cacheFrames: Number(pod[2]) } }),
    })
  }
  return figures
}
