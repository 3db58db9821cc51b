import { throwIfAborted } from './abort-error.ts'
import type { OfflineQuery } from './offline-query.ts'
import {
  type AddressSpace,
  type GuestIdentity,
  type GuestMemory,
  type GuestNotes,
  type HostMemory,
  identityAddressSpace,
  type MemoryDevices,
  type OpenGuest,
  type PauseLease,
} from './open-guest.ts'

/** A file has no vCPUs to stop. */
export const fileLease: PauseLease = {
  mode: 'file',
  resume: async () => 0,
  [Symbol.asyncDispose]: async () => undefined,
}

/** What differs between guests that lie in files. */
export interface FileGuestParts {
  readonly backend: GuestIdentity['backend']
  readonly machine: GuestIdentity['machine']
  /** `hostMemory` throws once the guest is closed; `close` may be called twice. */
  readonly memory: GuestMemory & OfflineQuery & { hostMemory(): HostMemory; close(): void }
  /** Identity when left out. */
  readonly addressSpace?: AddressSpace
  readonly notes: GuestNotes
  readonly warnings: OpenGuest['warnings']
  /** What the files tell of balloons and memory devices. */
  readonly memoryDevices?: MemoryDevices
}

/** A guest whose memory lies in files and whose notes have been read. */
export function fileGuest(parts: FileGuestParts): OpenGuest {
  const { backend, machine, memory, notes, warnings, memoryDevices } = parts
  return {
    identity: { backend, machine, kind: 'file' },
    memory,
    addressSpace: parts.addressSpace ?? identityAddressSpace,
    backing: memory,
    warnings,
    notes: async ({ signal } = {}) => {
      throwIfAborted(signal)
      return notes
    },
    pause: async ({ signal } = {}) => {
      throwIfAborted(signal)
      return fileLease
    },
    hostMemory: async () => memory.hostMemory(),
    ...(memoryDevices && { memoryDevices: async () => memoryDevices }),
    [Symbol.asyncDispose]: async () => memory.close(),
  }
}
