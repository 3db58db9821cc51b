import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { LocalArtifact } from '@ullage/dump'
import { UsageError } from '../usage-error.ts'

export type MapFormat = 'svg' | 'png'

/** Pixels of a PNG for one of the drawing. */
const SCALE = 2

/** The format that the name of a file asks for. Throws UsageError. */
export function mapFormat(path: string): MapFormat {
  const extension = extname(path).toLowerCase()
  if (extension === '.svg') return 'svg'
  if (extension === '.png') return 'png'
  throw new UsageError(
    `--map: expected a file that ends in .svg or .png, found ${JSON.stringify(path)}: the name says how it is drawn`,
  )
}

/** `svg` as the bytes of a file. Letters of a PNG are drawn with a font of our own: a server may have none. */
export async function encodeMap(svg: string, format: MapFormat): Promise<Uint8Array> {
  if (format === 'svg') return new TextEncoder().encode(svg)
  const { Resvg } = await import('@resvg/resvg-js')
  const require = createRequire(import.meta.url)
  const fontFiles = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((name) =>
    require.resolve(`dejavu-fonts-ttf/ttf/${name}`),
  )
  const font = { fontFiles, loadSystemFonts: false, defaultFontFamily: 'DejaVu Sans' }
  return new Resvg(svg, { font, fitTo: { mode: 'zoom', value: SCALE } }).render().asPng()
}

/** Reserves `path` for a picture, as `dump -o` does for an artifact: nothing is overwritten, nothing half-written is left. */
export function createMapFile(path: string): Promise<LocalArtifact> {
  return LocalArtifact.create(path)
}
