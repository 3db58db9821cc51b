import { libc } from './foreign.ts'

const getpagesize: () => number = libc.func('getpagesize', 'int', [])

/** Size of a page of this host in bytes (4096; 16384 or 65536 on some arm64 hosts): the unit of /proc/PID/pagemap. */
export function pageSize(): number {
  return getpagesize()
}
