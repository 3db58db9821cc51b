import { bootGuest } from '@ullage/lab'
import { test } from 'vitest'
import { expectAgreement } from './arm64-agreement.ts'

test('the classes of an arm64 guest are its kernel’s own', async () => {
  await using guest = await bootGuest({ era: 'trixie-arm64', memMiB: 256, balloonMiB: 96 })
  await expectAgreement(guest, await guest.truth(), 4096)
})
