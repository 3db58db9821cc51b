import { encodeElfNote } from '@ullage/layout'
import type { Random } from './random.ts'

/** Values for a line, at the edges of what is believed and beyond. */
const VALUES: readonly string[] = [
  '',
  '0',
  '1',
  '-1',
  '2',
  '7',
  '8',
  '12',
  '24',
  '31',
  '32',
  '40',
  '55',
  '56',
  '60',
  '63',
  '64',
  '65',
  '80',
  '255',
  '256',
  '257',
  '4095',
  '4096',
  '65536',
  '2097152',
  '4294967295',
  '4294967296',
  '9999999999',
  '99999999999999999999',
  '-9223372036854775808',
  'ffffffffffffffff',
  'ffffffff80000000',
  'ffffffff81000000',
  'ffff888000000000',
  'ffffea0000000000',
  '0xffffffffffffffff',
  '0x0',
  'x',
  '%s%n',
  '\u0000',
]

/** A few lines changed, gone, twice there, in another order; the end cut off; too much of it; not text at all. */
export function changeVmcoreinfo(text: string, random: Random): string {
  const lines = text.split('\n')
  for (let i = 1 + random.below(3); i > 0; i--) {
    const at = random.below(lines.length)
    const key = lines[at]?.split('=')[0] ?? ''
    switch (random.below(9)) {
      case 0:
        lines.splice(at, 1)
        break
      case 1:
        lines.splice(random.below(lines.length), 0, lines[at] ?? '')
        break
      case 2:
        return text.slice(0, random.below(text.length + 1))
      case 3:
        lines[at] = `${key}=${nudged(lines[at]?.split('=')[1] ?? '', random)}`
        break
      case 4:
        lines[at] = `${key}=${'9'.repeat(random.below(200))}`
        break
      case 5:
        if (random.oneIn(50)) return text + 'X=1\n'.repeat(random.below(400_000))
        lines[at] = `${key}=${random.u64().toString(random.pick([10, 16]))}`
        break
      case 6: {
        const chars = [...text]
        chars[random.below(chars.length)] = String.fromCharCode(random.below(256))
        return chars.join('')
      }
      default:
        lines[at] = `${key}=${random.pick(VALUES)}`
    }
  }
  return lines.join('\n')
}

/** A number next to the one there, or doubled, halved, negated. */
function nudged(value: string, random: Random): string {
  const isDecimal = /^-?\d+$/.test(value)
  if (!isDecimal && !/^[0-9a-f]+$/.test(value)) return value.split('').reverse().join('')
  const number = isDecimal ? BigInt(value) : BigInt(`0x${value}`)
  const changed = random.pick([
    number + 1n,
    number - 1n,
    number * 2n,
    number / 2n,
    -number,
    number + 8n,
    number + 4096n,
  ])
  return changed.toString(isDecimal ? 10 : 16)
}

/** Notes of vCPUs with one of VMCOREINFO after them, which `text` is the content of, or, `whole`, all of. */
export function encodeNote(vcpuNotes: Uint8Array, text: Uint8Array, whole = false): Uint8Array {
  const note = whole ? text : encodeElfNote('VMCOREINFO', 0, text)
  const all = new Uint8Array(vcpuNotes.length + note.length)
  all.set(vcpuNotes)
  all.set(note, vcpuNotes.length)
  return all
}
