import { readFileSync, writeFileSync } from 'node:fs'

const END = '<!-- end of results -->'

/** Replaces what stands in a README between the mark of this command and the end of results. */
export function keepBetween(readme: string, command: string, text: string): void {
  const begin = `<!-- results: written by ${command} -->`
  const whole = readFileSync(readme, 'utf8')
  const [start, end] = [whole.indexOf(begin), whole.indexOf(END)]
  if (start === -1 || end < start)
    throw new Error(`${readme} does not say where results go: between ${begin} and ${END}`)
  writeFileSync(readme, `${whole.slice(0, start)}${begin}\n${text}${whole.slice(end)}`)
}
