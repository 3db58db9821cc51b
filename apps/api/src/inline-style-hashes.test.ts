import { expect, test } from 'vitest'
import { inlineStyleHashes } from './inline-style-hashes.ts'

test('elements and attributes are allowed by their hashes', () => {
  // printf %s 'a{}' | openssl dgst -sha256 -binary | base64
  const element = "'sha256-X1RutGBrXCt9KkSaXMK7tHftWiRscFHOhxsS8tv8hBk='"
  expect(inlineStyleHashes('<style>a{}</style>')).toEqual([element])
  const page = '<p style="color:red"><i class="b" style="color:red">x</i><style media="all">a{}</style>'
  const hashes = inlineStyleHashes(page)
  expect(hashes).toHaveLength(3)
  expect(hashes).toEqual(expect.arrayContaining([element, "'unsafe-hashes'"]))
  expect(inlineStyleHashes('<p>style="x"</p>')).toEqual([])
})
