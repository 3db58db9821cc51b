import { readFileSync, writeFileSync } from 'node:fs'
import { LabError } from './lab-error.ts'

const FOLDER = '/sys/kernel/mm/hugepages/hugepages-2048kB'

/**
 * Makes sure that the host has this many MiB of free 2 MiB huge pages. What it adds stays in the host's pool: another
 * guest's test may be using it, and giving pages back that are in use is not possible.
 */
export function reserveHugePages(neededMiB: number): void {
  const needed = Math.ceil(neededMiB / 2)
  const read = (name: string): number => Number(readFileSync(`${FOLDER}/${name}`, 'utf8'))
  try {
    const missing = needed - (read('free_hugepages') - read('resv_hugepages'))
    if (missing > 0) writeFileSync(`${FOLDER}/nr_hugepages`, `${read('nr_hugepages') + missing}`)
  } catch (cause) {
    throw new LabError(`this host gives no huge pages: ${FOLDER}/nr_hugepages cannot be raised`, { cause })
  }
  const free = read('free_hugepages') - read('resv_hugepages')
  if (free < needed) {
    throw new LabError(`this host gives ${free} free huge pages of 2 MiB, a guest of ${neededMiB} MiB needs ${needed}`)
  }
}
