import { ApiProblem } from './problem.ts'

/** What is said of a dump that is not there, and in the same words of one that the asker may not know of. */
export function dumpUnknown(id: string): ApiProblem {
  return new ApiProblem('DUMP_UNKNOWN', `no dump has the id ${id}`)
}
