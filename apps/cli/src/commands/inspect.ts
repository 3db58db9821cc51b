import { describeVmcore, openVmcore } from '@ullage/vmcore'
import { artifactWarnings } from '../artifact-warnings.ts'
import { parseCall } from '../parse-call.ts'

export async function inspect(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseCall(args, {
    usage: 'ullage inspect FILE [--json]',
    operands: ['FILE'],
    options: { json: { type: 'boolean' } },
  })
  const path = positionals[0] as string
  await using vmcore = await openVmcore(path)
  const description = await describeVmcore(vmcore)
  const warnings = await artifactWarnings(path)
  if (values.json) {
    const found = warnings.length > 0 ? { ...description, warnings } : description
    process.stdout.write(`${JSON.stringify(found, null, 2)}\n`)
    return
  }
  for (const [key, value] of Object.entries(description)) {
    process.stdout.write(`${key}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)}\n`)
  }
  for (const { code, text } of warnings) process.stderr.write(`ullage: warning: ${text} [${code}]\n`)
}
