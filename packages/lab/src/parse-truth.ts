import type { GuestTruth } from './guest-truth.ts'
import { LabError } from './lab-error.ts'

/** Reads the parts of an agent's answer to `truth` (see guest-init.ts for their names). */
export function parseTruth(parts: ReadonlyMap<string, Buffer>): GuestTruth {
  const bytes = (name: string): Buffer => {
    const part = parts.get(name)
    if (part === undefined) throw new LabError(`the guest's answer has no ${name}`)
    return part
  }
  const text = (name: string): string => bytes(name).toString('latin1')
  return {
    kpageflags: words(bytes('kpageflags')),
    kpagecount: words(bytes('kpagecount')),
    symbols: parseSymbols(text('symbols')),
    vmcoreinfoText: findVmcoreinfo(text('kcore')),
    vmcoreinfoAddress: parseAddress(text('vmcoreinfo_address')),
    uname: text('uname').trim(),
    version: text('version').trim(),
    cmdline: text('cmdline').trim(),
    meminfo: text('meminfo'),
    vmstat: text('vmstat'),
    iomem: text('iomem'),
    buddyinfo: text('buddyinfo'),
    memoryBlocks: text('memory_blocks'),
    modules: text('modules'),
    dmesg: text('dmesg'),
  }
}

function words(bytes: Buffer): BigUint64Array {
  if (bytes.length === 0 || bytes.length % 8 !== 0) {
    throw new LabError(`expected a multiple of 8 bytes of page flags from the guest, found ${bytes.length}`)
  }
  const copy = new Uint8Array(bytes)
  return new BigUint64Array(copy.buffer)
}

function parseSymbols(text: string): ReadonlyMap<string, bigint> {
  const symbols = new Map<string, bigint>()
  for (const line of text.trim().split('\n')) {
    const [address, , name] = line.split(' ')
    if (address !== undefined && name !== undefined) symbols.set(name, BigInt(`0x${address}`))
  }
  return symbols
}

/** /sys/kernel/vmcoreinfo: the address and the size of the note, hexadecimal. */
function parseAddress(text: string): bigint | undefined {
  const address = /^(?:0x)?([0-9a-f]+) /.exec(text)?.[1]
  return address === undefined ? undefined : BigInt(`0x${address}`)
}

/** The VMCOREINFO note among those at the start of /proc/kcore (fs/proc/kcore.c, since Linux 4.19). */
function findVmcoreinfo(kcore: string): string | undefined {
  const start = kcore.indexOf('OSRELEASE=')
  if (start < 0) return undefined
  const end = kcore.indexOf('\0', start)
  return kcore.slice(start, end < 0 ? undefined : end)
}
