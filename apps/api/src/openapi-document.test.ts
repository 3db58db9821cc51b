import { expect, test } from 'vitest'
import { api } from '../test/api-under-test.ts'

test('the document that is kept beside the sources is the one that is served', async () => {
  const document = (await api.app.inject('/openapi.json')).json()
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot('../openapi.json')
})
