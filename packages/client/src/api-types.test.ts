import { readFileSync } from 'node:fs'
import openapiTypescript, { astToString } from 'openapi-typescript'
import { expect, test } from 'vitest'

const HEAD = '// Made of the OpenAPI document of the API by `npm run types -w @ullage/client`. Not to be edited.\n\n'

test('the types are those of the document', async () => {
  const document = readFileSync(new URL('../../../apps/api/openapi.json', import.meta.url), 'utf8')
  // What has a default may be left out of a request; answers name what they always have as required.
  const types = astToString(await openapiTypescript(JSON.parse(document), { defaultNonNullable: false }))
  await expect(HEAD + types).toMatchFileSnapshot('./api-types.ts')
})
