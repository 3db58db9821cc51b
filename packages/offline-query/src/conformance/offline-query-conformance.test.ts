import { describe, expect, it } from 'vitest'
import { suiteOf } from '../../test/made-guest.ts'
import { conformanceFailures, MemoryGuest, offlineQueryConformance } from './index.ts'

describe('the reference', () => {
  offlineQueryConformance({ describe, it }, suiteOf(MemoryGuest))
  offlineQueryConformance(
    { describe, it },
    {
      ...suiteOf(MemoryGuest, { tellsSwapped: false, unbackedReads: 'nothing', snapshot: false }),
      name: 'other promises',
    },
  )
  offlineQueryConformance({ describe, it }, { ...suiteOf(MemoryGuest, { costly: true }), name: 'costly questions' })

  it('is right when the suite is run without a runner', async () => {
    expect(await conformanceFailures(suiteOf(MemoryGuest))).toEqual([])
  })
})
