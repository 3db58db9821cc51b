import { text } from './field-type.ts'
import { struct } from './struct.ts'

/** What `uname` tells, as kernels and kdump headers hold it (Linux include/uapi/linux/utsname.h). */
export const new_utsname = struct('new_utsname', 390, {
  sysname: text(65),
  nodename: text(65),
  release: text(65),
  version: text(65),
  machine: text(65),
  domainname: text(65),
})
