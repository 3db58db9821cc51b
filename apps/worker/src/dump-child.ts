import { dumpDefaults, dumpGuest, pagesOf } from '@ullage/dump'
import { loadDescriptor, openGuest } from '@ullage/guests'
import { serveParent } from './serve-parent.ts'

serveParent({
  loadDescriptor,
  openGuest,
  dumpGuest: (guest, options) => dumpGuest(guest, { ...dumpDefaults, ...options }),
  pagesOf,
})
