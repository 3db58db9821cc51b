import { Elf64_Ehdr, Elf64_Phdr, EM_X86_64, EV_CURRENT, PT_LOAD } from '@ullage/layout'

const ET_EXEC = 2
const PF_X_R = 5
const BASE = 0x400000n

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
  const code = Buffer.from(CODE, 'hex')
  const codeAt = Elf64_Ehdr.size + Elf64_Phdr.size
  const ident = new Uint8Array(16)
  ident.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  const header = Elf64_Ehdr.toBytes({
    e_ident: ident,
    e_type: ET_EXEC,
    e_machine: EM_X86_64,
    e_version: EV_CURRENT,
    e_entry: BASE + BigInt(codeAt),
    e_phoff: BigInt(Elf64_Ehdr.size),
    e_shoff: 0n,
    e_flags: 0,
    e_ehsize: Elf64_Ehdr.size,
    e_phentsize: Elf64_Phdr.size,
    e_phnum: 1,
    e_shentsize: 0,
    e_shnum: 0,
    e_shstrndx: 0,
  })
  const size = BigInt(codeAt + code.length)
  const segment = Elf64_Phdr.toBytes({
    p_type: PT_LOAD,
    p_flags: PF_X_R,
    p_offset: 0n,
    p_vaddr: BASE,
    p_paddr: BASE,
    p_filesz: size,
    p_memsz: size,
    p_align: 4096n,
  })
  return Buffer.concat([header, segment, code])
}
