import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { offsetOf } from '@ullage/layout'
import { describe, expect, test } from 'vitest'
import {
  BITMAP_1,
  DATA,
  DESCRIPTORS,
  copyOf,
  dir,
  errorOf,
  type Harm,
  PAGE,
  readAll,
  STORED,
} from '../test/good-files.ts'
import { decompress } from '../test/page-codecs.ts'
import { kdump_sub_header, MAX_SIZE_MDF_HEADER, makedumpfile_data_header } from './kdump-layout.ts'
import { openVmcore } from './open-vmcore.ts'
import { verifyVmcore } from './verify-vmcore.ts'
import type { VmcoreErrorCode } from './vmcore-error.ts'

describe('flattened with', () => {
  const record = MAX_SIZE_MDF_HEADER + offsetOf(makedumpfile_data_header, 'offset')
  const size = MAX_SIZE_MDF_HEADER + offsetOf(makedumpfile_data_header, 'buf_size')
  const harms: readonly (readonly [string, VmcoreErrorCode, Harm])[] = [
    ['a type of the future', 'UNSUPPORTED', (b) => b.writeBigInt64BE(2n, 16)],
    ['a version of the future', 'UNSUPPORTED', (b) => b.writeBigInt64BE(2n, 24)],
    ['a record before the file', 'CORRUPT', (b) => b.writeBigInt64BE(-4096n, record)],
    ['a record of no bytes', 'CORRUPT', (b) => b.writeBigInt64BE(0n, size)],
    ['a record of negative size', 'CORRUPT', (b) => b.writeBigInt64BE(-1n, size)],
    ['a record beyond all numbers', 'CORRUPT', (b) => b.writeBigInt64BE(2n ** 62n, record)],
    ['a record larger than the file', 'TRUNCATED', (b) => b.writeBigInt64BE(2n ** 40n, size)],
    ['the header somewhere else', 'CORRUPT', (b) => b.writeBigInt64BE(1n, record)],
    ['a flattened file inside', 'NOT_A_VMCORE', (b) => b.write('makedumpfile\0\0\0\0', MAX_SIZE_MDF_HEADER + 16)],
  ]
  test.each(harms)('%s', async (_, code, harm) => {
    const bytes = copyOf('flattened')
    harm(bytes)
    expect((await errorOf(bytes)).code).toBe(code)
  })

  test('a record written twice: the later one holds', async () => {
    const bytes = copyOf('flattened')
    const end = bytes.length - makedumpfile_data_header.size
    const level = Buffer.alloc(4)
    level.writeInt32LE(17)
    const offset = BigInt(PAGE + offsetOf(kdump_sub_header, 'dump_level'))
    const later = makedumpfile_data_header.toBytes({ offset, buf_size: 4n }, 'big')
    const path = join(dir, 'twice')
    writeFileSync(path, Buffer.concat([bytes.subarray(0, end), later, level, bytes.subarray(end)]))
    await using vmcore = await openVmcore(path, { decompress })
    expect(vmcore.info.dumpLevel).toBe(17)
    expect(await verifyVmcore(vmcore)).toMatchObject({ pages: STORED })
  })

  test('a hole in a bitmap: it is zeros; a hole in a page: it is an error', async () => {
    const plain = copyOf('kdump')
    const flatten = (...parts: readonly (readonly [number, number])[]): Buffer => {
      const head = copyOf('flattened').subarray(0, MAX_SIZE_MDF_HEADER)
      const records = parts.flatMap(([from, to]) => [
        makedumpfile_data_header.toBytes({ offset: BigInt(from), buf_size: BigInt(to - from) }, 'big'),
        plain.subarray(from, to),
      ])
      return Buffer.concat([head, ...records, makedumpfile_data_header.toBytes({ offset: -1n, buf_size: -1n }, 'big')])
    }
    const end = plain.length
    expect(await readAll(flatten([0, BITMAP_1 + 10], [BITMAP_1 + 4900, end]))).toMatchObject({ pages: STORED })
    expect((await errorOf(flatten([0, DATA + 5000], [DATA + 5010, end]))).code).toBe('CORRUPT')
    expect((await errorOf(flatten([0, DESCRIPTORS + 30], [DESCRIPTORS + 40, end]))).code).toBe('CORRUPT')
  })
})
