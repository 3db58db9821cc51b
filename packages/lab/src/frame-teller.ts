import { staticProgram } from './static-program.ts'

/** What the program writes to the console when it has told all frames, the first time and the second. */
export const TOLD_ONCE = 'lab: frames told once.\n'
export const TOLD_TWICE = 'lab: frames told twice\n'

const BUFFER_BYTES = 65_536

/**
 * x86-64. A program that neither takes nor gives back a frame once it runs: all it has is locked. Descriptors: 1 where to
 * write, 3 and 4 the files to read, 5 the console.
 */
const CODE = [
  'b897000000', // 0x0 mov $0x97,%eax  (mlockall)
  'bf03000000', // 0x5 mov $0x3,%edi  (MCL_CURRENT | MCL_FUTURE)
  '0f05', // 0xa syscall
  '488d3d9e000000', // 0xc lea 0x9e(%rip),%rdi
  'b823000000', // 0x13 mov $0x23,%eax  (nanosleep)
  '31f6', // 0x18 xor %esi,%esi
  '0f05', // 0x1a syscall
  'e836000000', // 0x1c call 0x57
  '488d35a9000000', // 0x21 lea 0xa9(%rip),%rsi
  'e872000000', // 0x28 call 0x9f
  '488d3d8d000000', // 0x2d lea 0x8d(%rip),%rdi
  'b823000000', // 0x34 mov $0x23,%eax  (nanosleep)
  '31f6', // 0x39 xor %esi,%esi
  '0f05', // 0x3b syscall
  'e815000000', // 0x3d call 0x57
  '488d359f000000', // 0x42 lea 0x9f(%rip),%rsi
  'e851000000', // 0x49 call 0x9f
  'b822000000', // 0x4e mov $0x22,%eax  (pause)
  '0f05', // 0x53 syscall
  'ebf7', // 0x55 jmp 0x4e
  // tell: both files, from their start, to standard output
  'bb03000000', // 0x57 mov $0x3,%ebx  (kpageflags, then kpagecount)
  'b808000000', // 0x5c mov $0x8,%eax  (lseek)
  '89df', // 0x61 mov %ebx,%edi
  '31f6', // 0x63 xor %esi,%esi
  '31d2', // 0x65 xor %edx,%edx
  '0f05', // 0x67 syscall
  '31c0', // 0x69 xor %eax,%eax  (read)
  '89df', // 0x6b mov %ebx,%edi
  '488d358b000000', // 0x6d lea 0x8b(%rip),%rsi
  'ba00000100', // 0x74 mov $0x10000,%edx
  '0f05', // 0x79 syscall
  '4885c0', // 0x7b test %rax,%rax
  '7e17', // 0x7e jle 0x97
  '89c2', // 0x80 mov %eax,%edx
  'b801000000', // 0x82 mov $0x1,%eax  (write)
  'bf01000000', // 0x87 mov $0x1,%edi
  '488d356c000000', // 0x8c lea 0x6c(%rip),%rsi
  '0f05', // 0x93 syscall
  'ebd2', // 0x95 jmp 0x69
  'ffc3', // 0x97 inc %ebx
  '83fb05', // 0x99 cmp $0x5,%ebx
  '72be', // 0x9c jb 0x5c
  'c3', // 0x9e ret
  // say: 23 bytes to the console
  'b801000000', // 0x9f mov $0x1,%eax  (write)
  'bf05000000', // 0xa4 mov $0x5,%edi
  'ba17000000', // 0xa9 mov $0x17,%edx
  '0f05', // 0xae syscall
  'c3', // 0xb0 ret
].join('')

/** struct timespec. */
function seconds(count: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64LE(BigInt(count))
  return bytes
}

/**
 * An executable for x86-64 Linux that waits `settleSeconds`, copies descriptors 3 and 4 to 1, writes `TOLD_ONCE` to 5, waits
 * `waitSeconds`, copies both once more, writes `TOLD_TWICE` and stays.
 */
export function frameTeller(options: { settleSeconds: number; waitSeconds: number }): Uint8Array {
  const { settleSeconds, waitSeconds } = options
  const data = [seconds(settleSeconds), seconds(waitSeconds), Buffer.from(TOLD_ONCE), Buffer.from(TOLD_TWICE)]
  return staticProgram(Buffer.concat([Buffer.from(CODE, 'hex'), ...data]), BUFFER_BYTES)
}
