import { describeVmcore, openVmcore } from '@ullage/vmcore'
import { parseCall } from '../parse-call.ts'

export async function inspect(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseCall(args, {
    usage: 'ullage inspect FILE [--json]',
    operands: ['FILE'],
    options: { json: { type: 'boolean' } },
  })
  await using vmcore = await openVmcore(positionals[0] as string)
  const found = await describeVmcore(vmcore)
  if (values.json) {
    process.stdout.write(`${JSON.stringify(found, null, 2)}\n`)
    return
  }
  for (const [key, value] of Object.entries(found)) {
    process.stdout.write(`${key}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)}\n`)
  }
}
