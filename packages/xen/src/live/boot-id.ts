import { readFileSync } from 'node:fs'
import { orMissing } from '@ullage/native'

/** Tells one run of this machine from another: domains end with it. */
export function bootId(): string {
  return orMissing(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()) ?? ''
}
