import { textOf } from './read-deployed.ts'

const SOURCES = ['../../apps/api/src/metrics.ts', '../../apps/worker/src/worker-metrics.ts']

/** Names of all metrics that the apps declare, with the series of those that are histograms. */
export function declaredMetrics(): ReadonlySet<string> {
  const names = SOURCES.flatMap((file) => textOf(file).match(/(?<=')ullage_[a-z_]+(?=')/g) ?? [])
  return new Set(names.flatMap((name) => [name, ...['bucket', 'sum', 'count'].map((series) => `${name}_${series}`)]))
}

/** Names of metrics that `text` speaks of. */
export function metricsIn(text: string): string[] {
  return [...new Set(text.match(/\bullage_[a-z_]+/g))]
}
