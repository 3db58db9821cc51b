/** `text` as it can stand in SVG. What a guest says of itself is text of anybody: characters that XML has not are dropped. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\x20-\x7e\u00a0-\ud7ff]/g, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

export interface TextStyle {
  readonly size?: number
  readonly bold?: boolean
  readonly anchor?: 'start' | 'middle' | 'end'
  readonly fill?: string
}

export function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 12, bold = false, anchor = 'start', fill = '#222222' } = style
  const extra = `${bold ? ' font-weight="bold"' : ''}${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}`
  return `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}"${extra}>${escapeXml(content)}</text>`
}

export function rect(x: number, y: number, width: number, height: number, fill: string, stroke?: string): string {
  const line = stroke === undefined ? '' : ` stroke="${stroke}"`
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${fill}"${line}/>`
}

export function line(x1: number, y1: number, x2: number, y2: number, stroke: string): string {
  return `<path d="M${x1} ${y1}L${x2} ${y2}" stroke="${stroke}" fill="none"/>`
}
