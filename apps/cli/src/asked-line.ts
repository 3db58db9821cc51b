import type { Disagreements, HypervisorReport } from '@ullage/dump'

/** One line on what a hypervisor was asked, and was not; none where there was none to ask. */
export function askedLine(report: { disagreements: Disagreements; hypervisor?: HypervisorReport }): string[] {
  const { hypervisor, disagreements } = report
  if (!hypervisor && disagreements.notAsked === 0) return []
  const notAsked = `${disagreements.notAsked} frames not asked about, by the guest's word`
  return [hypervisor ? `hypervisor: ${hypervisor.questions} questions, ${notAsked}` : notAsked]
}
