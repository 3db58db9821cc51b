import { expect, test } from 'vitest'
import { api } from '../../test/api-under-test.ts'
import { CursorSeal } from '../cursor-seal.ts'

const list = async (url: string) => (await api.app.inject(url)).json()
const idsOf = (items: { id: string }[]) => items.map(({ id }) => id)

/** Makes `count` dumps that are cancelled, of web-1. */
async function makeDumps(count: number): Promise<string[]> {
  const ids: string[] = []
  while (ids.length < count) {
    const { id } = (await api.post({ guest: 'web-1' })).json()
    await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}` })
    ids.push(id)
  }
  return ids
}

test('a walk through pages has every dump once, whatever is made and removed meanwhile', async () => {
  const ids = await makeDumps(7)
  const seen: string[] = []
  let url = '/v1/dumps?limit=2'
  for (let page = await list(url); ; page = await list(url)) {
    expect(page.items.length).toBeLessThanOrEqual(2)
    seen.push(...idsOf(page.items))
    if (page.next === null) break
    url = `/v1/dumps?limit=2&cursor=${page.next}`
    await makeDumps(1)
    // Also the dump that the cursor was made of.
    await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${seen.at(-1)}` })
  }
  expect(seen).toEqual([...ids].reverse())
})

test('a cursor tells nothing, and one that was made elsewhere is refused', async () => {
  await makeDumps(3)
  const { next } = await list('/v1/dumps?limit=1')
  expect(next).toMatch(/^[\w-]{22}$/)
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const elsewhere = new CursorSeal(new DatabaseSync(':memory:'))
  expect(elsewhere.open(elsewhere.seal(3))).toBe(3)
  expect(elsewhere.open(next)).toBeUndefined()
  const altered = (next.startsWith('a') ? 'b' : 'a') + next.slice(1)
  for (const cursor of [elsewhere.seal(3), '3', `${next}a`, altered]) {
    expect(await list(`/v1/dumps?cursor=${cursor}`)).toMatchObject({ status: 400, code: 'REQUEST_INVALID' })
  }
})

test('dumps are filtered by guest, host, state and time', async () => {
  const [cancelled] = await makeDumps(1)
  const queued = (await api.post({ guest: 'web-2' })).json()
  const at = encodeURIComponent(queued.createdAt)
  const later = encodeURIComponent(new Date(Date.parse(queued.createdAt) + 1).toISOString())
  expect(idsOf((await list('/v1/dumps?state=cancelled')).items)).toEqual([cancelled])
  expect(idsOf((await list('/v1/dumps?state=queued&guest=web-2&host=h1')).items)).toEqual([queued.id])
  expect((await list('/v1/dumps?host=h2')).items).toEqual([])
  expect(idsOf((await list(`/v1/dumps?createdAfter=${at}`)).items)).toContain(queued.id)
  expect((await list(`/v1/dumps?createdAfter=${later}`)).items).toEqual([])
  expect(idsOf((await list(`/v1/dumps?createdBefore=${later}`)).items)).toEqual([queued.id, cancelled])
  expect(idsOf((await list(`/v1/dumps?createdBefore=${at}`)).items)).not.toContain(queued.id)
  for (const query of ['createdAfter=yesterday', 'state=odd', 'limit=201', 'host=..', 'limit=1.5']) {
    expect((await api.app.inject(`/v1/dumps?${query}`)).statusCode, `${query}`).toBe(400)
  }
})

test('guests are paged and filtered', async () => {
  const whole = (await list('/v1/guests')).items
  const seen: unknown[] = []
  for (let next: string | null = ''; next !== null; ) {
    const page = await list(`/v1/guests?limit=1${next && `&cursor=${next}`}`)
    seen.push(...page.items)
    next = page.next
  }
  expect(seen).toEqual(whole)
  expect(idsOf((await list('/v1/guests?host=h2')).items)).toEqual(['db-1', 'twice'])
  expect(idsOf((await list('/v1/guests?reachable=false')).items)).toEqual(['db-1', 'twice'])
  expect((await list('/v1/guests?reachable=true&host=h2')).items).toEqual([])
  expect((await list('/v1/guests?backend=virtio-balloon')).items).toEqual(whole)
  expect((await list('/v1/guests?backend=xen')).items).toEqual([])
  for (const query of ['reachable=maybe', 'limit=0', 'limit=1001', 'cursor=bm8', 'cursor=W10', 'what=1']) {
    expect((await api.app.inject(`/v1/guests?${query}`)).statusCode, `${query}`).toBe(400)
  }
})

test('guests that come and go move no page', async () => {
  const first = await list('/v1/guests?limit=2')
  expect(idsOf(first.items)).toEqual(['db-1', 'moved'])
  api.fleet.now = api.fleet.now.filter(({ host }) => host !== 'h3')
  expect(idsOf((await list(`/v1/guests?limit=2&cursor=${first.next}`)).items)).toEqual(['moved', 'odd'])
})

test('hosts are paged and filtered', async () => {
  const first = await list('/v1/hosts?limit=3')
  expect(first.items.map(({ host }: { host: string }) => host)).toEqual(['h1', 'h2', 'h3'])
  const second = await list(`/v1/hosts?limit=3&cursor=${first.next}`)
  expect(second).toMatchObject({ items: [{ host: 'h4' }], next: null })
  expect((await list('/v1/hosts?reachable=false')).items).toMatchObject([{ host: 'h2' }])
})
