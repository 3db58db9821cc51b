import { readFileSync, writeFileSync } from 'node:fs'
import { LabError } from './lab-error.ts'

const FOLDER = '/sys/kernel/mm/hugepages/hugepages-2048kB'

/**
 * Makes sure that the host has this many MiB of free 2 MiB huge pages. Returns how many pages it added to the host's
 * pool, to be taken out again when they are no longer needed.
 */
export function reserveHugePages(neededMiB: number): number {
  const needed = Math.ceil(neededMiB / 2)
  const read = (name: string): number => Number(readFileSync(`${FOLDER}/${name}`, 'utf8'))
  let missing: number
  try {
    missing = Math.max(0, needed - (read('free_hugepages') - read('resv_hugepages')))
    if (missing > 0) writeFileSync(`${FOLDER}/nr_hugepages`, `${read('nr_hugepages') + missing}`)
  } catch (cause) {
    throw new LabError(`this host gives no huge pages: ${FOLDER}/nr_hugepages cannot be raised`, { cause })
  }
  const free = read('free_hugepages') - read('resv_hugepages')
  if (free < needed) {
    if (missing > 0) writeFileSync(`${FOLDER}/nr_hugepages`, `${read('nr_hugepages') - missing}`)
    throw new LabError(`this host gives ${free} free huge pages of 2 MiB, a guest of ${neededMiB} MiB needs ${needed}`)
  }
  return missing
}
