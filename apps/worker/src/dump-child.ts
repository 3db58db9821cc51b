import { dumpGuest, pagesOf } from '@ullage/dump'
import { loadDescriptor, openGuest } from '@ullage/guests'
import { serveParent } from './serve-parent.ts'

serveParent({ loadDescriptor, openGuest, dumpGuest, pagesOf })
