import type { PageChecker } from './page-checker.ts'
import type { PageTable } from './page-table.ts'
import type { PageFindings } from './page-verifier.ts'

type OwnedChecker = PageChecker & AsyncDisposable

/** Gives each table to the checker that has the fewest to do for its width, the first of several. Owns them all. */
export function shareTables(checkers: readonly OwnedChecker[]): OwnedChecker {
  const loads = checkers.map((checker) => ({ checker, tables: 0 }))
  return {
    width: checkers.reduce((sum, { width }) => sum + width, 0),
    async check(table: PageTable): Promise<PageFindings> {
      const fraction = (load: (typeof loads)[number]): number => load.tables / load.checker.width
      const least = loads.reduce((best, other) => (fraction(other) < fraction(best) ? other : best))
      least.tables++
      try {
        return await least.checker.check(table)
      } finally {
        least.tables--
      }
    },
    async finish() {
      await Promise.all(checkers.map((checker) => checker.finish()))
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(checkers.map((checker) => checker[Symbol.asyncDispose]()))
    },
  }
}
