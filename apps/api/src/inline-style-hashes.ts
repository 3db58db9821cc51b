import { createHash } from 'node:crypto'

/**
 * Sources for `style-src` that let a page apply the styles that stand in it now, and no others: hashes of its style elements and
 * of its style attributes. Of a page that has none, none.
 */
export function inlineStyleHashes(html: string): string[] {
  const elements = [...html.matchAll(/<style[^>]*>(.*?)<\/style>/gs)].map(([, text = '']) => hashOf(text))
  const attributes = [...html.matchAll(/<[a-z][^<>]*?\sstyle="([^"&]*)"/gi)].map(([, text = '']) => hashOf(text))
  return [...new Set([...elements, ...attributes, ...(attributes.length > 0 ? ["'unsafe-hashes'"] : [])])]
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
