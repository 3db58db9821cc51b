import { type Infer, new_utsname } from '@ullage/layout'
import type { KernelMemory } from './kernel-memory.ts'
import { Refusal } from './refusal.ts'
import { required, type Vmcoreinfo } from './vmcoreinfo.ts'

/** What `uname` prints in the guest's first namespace. */
export type UtsName = Readonly<Infer<typeof new_utsname>>

/** Kernels that export no offset (before 5.11) have a reference count before the name. */
const OFFSET_BEFORE_EXPORT = 4

/** Reads `init_uts_ns.name` from guest memory. Throws Refusal when it cannot be read. */
export function readUtsName(memory: KernelMemory, info: Vmcoreinfo): UtsName {
  const symbol = required(info.symbol('init_uts_ns'), 'SYMBOL(init_uts_ns)')
  const offset = info.offset('uts_namespace.name') ?? OFFSET_BEFORE_EXPORT
  const bytes = memory.read(symbol + BigInt(offset), new_utsname.size)
  if (!bytes) throw new Refusal(`init_uts_ns at 0x${symbol.toString(16)} is not in readable guest RAM`)
  return new_utsname.read(bytes)
}
