import { readFileSync } from 'node:fs'
import { Elf64_Ehdr, Elf64_Nhdr, Elf64_Phdr, Elf64_Shdr, type Struct, new_utsname } from '@ullage/layout'
import { expect, test } from 'vitest'
import {
  disk_dump_header,
  kdump_sub_header,
  makedumpfile_data_header,
  makedumpfile_header,
  page_desc,
  timeval,
} from './kdump-layout.ts'

// What test/c-layout.c prints.
const printed: unknown = JSON.parse(readFileSync(new URL('../test/c-layout.json', import.meta.url), 'utf8'))

const declared: readonly Pick<Struct<unknown>, 'name' | 'size' | 'offsets'>[] = [
  new_utsname,
  timeval,
  disk_dump_header,
  kdump_sub_header,
  page_desc,
  makedumpfile_header,
  makedumpfile_data_header,
  Elf64_Ehdr,
  Elf64_Phdr,
  Elf64_Shdr,
  Elf64_Nhdr,
]

test('sizes and offsets are those of a C compiler', () => {
  expect(Object.fromEntries(declared.map(({ name, size, offsets }) => [name, { size, offsets }]))).toEqual(printed)
})
