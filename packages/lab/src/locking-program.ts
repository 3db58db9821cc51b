import { staticProgram } from './static-program.ts'

/** x86-64: locks all it has and will have, maps 1 MiB more, and waits for ever. busybox has no such program. */
const CODE = [
  'b897000000', // mov $151,%eax          mlockall
  'bf03000000', // mov $3,%edi            MCL_CURRENT | MCL_FUTURE
  '0f05', //       syscall
  'b809000000', // mov $9,%eax            mmap
  '31ff', //       xor %edi,%edi
  'be00001000', // mov $0x100000,%esi
  'ba03000000', // mov $3,%edx            PROT_READ | PROT_WRITE
  '41ba22000000', // mov $0x22,%r10d      MAP_PRIVATE | MAP_ANONYMOUS
  '4983c8ff', //   or $-1,%r8
  '4531c9', //     xor %r9d,%r9d
  '0f05', //       syscall
  'b822000000', // 1: mov $34,%eax        pause
  '0f05', //       syscall
  'ebf7', //       jmp 1b
].join('')

/** An ELF executable for x86-64 Linux that keeps 1 MiB of anonymous memory locked. */
export function lockingProgram(): Uint8Array {
  return staticProgram(Buffer.from(CODE, 'hex'))
}
