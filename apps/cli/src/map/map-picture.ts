import type { PagesLayout, PagesReport, PlanRun } from '@ullage/dump'
import { humanBytes } from '../human.ts'
import { drawMap } from './draw-map.ts'
import { MapCells } from './map-cells.ts'
import { mapGrid } from './map-grid.ts'

const CONSISTENCY: Readonly<Record<PagesReport['consistency']['mode'], string>> = {
  paused: 'paused while it was asked',
  live: 'running while it was asked: its memory may have changed meanwhile',
  stopped: 'stopped',
  file: 'from files',
}

/** Gathers runs as `pagesOf` tells them, and draws them. Memory: some megabytes, however large the guest is. */
export class MapPicture {
  #layout: PagesLayout | undefined
  #cells: MapCells | undefined

  begin(layout: PagesLayout): void {
    this.#layout = layout
    this.#cells = new MapCells(mapGrid(layout.extents))
  }

  add(run: PlanRun): void {
    this.#cells?.add(run)
  }

  /** The picture in SVG. `name`: how the guest is called. */
  draw(name: string, report: PagesReport): string {
    if (!this.#layout || !this.#cells) throw new RangeError('nothing was gathered to be drawn')
    const { frames, guest, disagreements, trust, consistency } = report
    const { frameBytes } = this.#layout
    const size = (count: number): string => humanBytes(count * frameBytes)
    const sum = (state: 'backed' | 'swapped' | 'unbacked' | 'unknown'): number =>
      Object.values(frames.byClass).reduce((total, row) => total + row[state], 0)
    const swapped = sum('swapped') > 0 ? `${size(sum('swapped'))} swapped, ` : ''
    const unknown = sum('unknown') > 0 ? `, ${size(sum('unknown'))} not known` : ''
    return drawMap(this.#cells, {
      title: `${name}: ${size(frames.total)} of guest memory`,
      subtitles: [
        `${guest.kernel ?? 'unknown kernel'} · ${guest.backend} · ${frames.total} frames of ${frameBytes} bytes · ` +
          `${CONSISTENCY[consistency.mode]}${trust === 'guest' ? '' : ` · trust ${trust}`}`,
        `the host has memory for ${size(sum('backed'))}, ${swapped}none for ${size(sum('unbacked'))}${unknown} · ` +
          `reclaimable ${humanBytes(disagreements.reclaimableBytes)}${disagreements.alarm ? ' · ALARM: memory in use may be gone' : ''}`,
      ],
      frameBytes,
      frames,
      extents: this.#layout.extents,
      sectionFrames: this.#layout.sectionFrames,
    })
  }
}
