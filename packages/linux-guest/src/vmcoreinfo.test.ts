import { expect, test } from 'vitest'
import { Refusal } from './refusal.ts'
import { Vmcoreinfo } from './vmcoreinfo.ts'

test('each kind of line is read as the kernel writes it', () => {
  const info = Vmcoreinfo.parse(
    'OSRELEASE=6.12.0\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff81000000\nNUMBER(phys_base)=-356515840\n' +
      'NUMBER(kimage_voffset)=0xffff800000000000\nOFFSET(page.flags)=0\nSIZE(page)=64\nLENGTH(zone.free_area)=11\n' +
      'KERNELOFFSET=1a200000\nBUILD-ID=00ff\n',
  )
  expect(info).toMatchObject({ osrelease: '6.12.0', pageBytes: 4096 })
  expect(info.symbol('_stext')).toBe(0xffff_ffff_8100_0000n)
  expect(info.number('phys_base')).toBe(-356_515_840n)
  expect(info.number('kimage_voffset')).toBe(0xffff_8000_0000_0000n)
  expect([info.offset('page.flags'), info.size('page'), info.length('zone.free_area')]).toEqual([0, 64, 11])
  expect([info.value('KERNELOFFSET'), info.value('BUILD-ID')]).toEqual(['1a200000', '00ff'])
})

test('what is no value counts as absent', () => {
  const info = Vmcoreinfo.parse(
    'OSRELEASE=x\nSYMBOL(a)=0x12\nSYMBOL(b)=12345678901234567\nSYMBOL(c)=\nNUMBER(a)=1e3\nNUMBER(b)=--1\n' +
      'OFFSET(a)=-1\nSIZE(a)=1.5\nLENGTH(a)=99999999999\nno equals\n=empty\n',
  )
  for (const name of ['a', 'b', 'c', 'd']) {
    expect([info.symbol(name), info.number(name), info.offset(name), info.size(name), info.length(name)]).toEqual(
      Array.from({ length: 5 }),
    )
  }
  expect(info.pageBytes).toBe(undefined)
})

test('a line that comes again changes nothing', () => {
  expect(Vmcoreinfo.parse('OSRELEASE=x\nSIZE(page)=64\nSIZE(page)=8\nOSRELEASE=y\n')).toMatchObject({
    osrelease: 'x',
  })
  expect(Vmcoreinfo.parse('OSRELEASE=x\nSIZE(page)=64\nSIZE(page)=8\n').size('page')).toBe(64)
})

test('text ends at its first NUL, a last line may be cut', () => {
  const info = Vmcoreinfo.parse('OSRELEASE=x\nSIZE(page)=64\nSIZE(list_h\0SIZE(zone)=1\n')
  expect([info.size('page'), info.size('zone')]).toEqual([64, undefined])
})

test('no release and more text than a kernel writes are refused', () => {
  expect(() => Vmcoreinfo.parse('PAGESIZE=4096\n')).toThrow(Refusal)
  expect(() => Vmcoreinfo.parse(`OSRELEASE=x\n${'x'.repeat(70_000)}`)).toThrow('its text has 70012 bytes')
})

test.each([
  ['moves the cursor', '6.1.0\u001b[2J'],
  ['is longer than any', 'x'.repeat(65)],
  ['has a control character of eight bits', '6.1\u009b2J'],
])('an OSRELEASE that %s is refused, and not repeated', (_, release) => {
  const parse = () => Vmcoreinfo.parse(`OSRELEASE=${release}\nPAGESIZE=4096\n`)
  expect(parse).toThrow(/^its OSRELEASE is no name of a release/)
})
