export type { components, paths } from './api-types.ts'
export { ClientProblem, type Problem } from './client-problem.ts'
export { DigestError, type Download, type DownloadOptions } from './download-artifact.ts'
export type { DumpEvent, FollowOptions } from './follow-dump.ts'
export {
  type CreateOptions,
  type Dump,
  type DumpQuery,
  type DumpReport,
  type DumpRequest,
  type Guest,
  type GuestPages,
  type GuestQuery,
  type Host,
  type HostQuery,
  UllageClient,
  type UllageClientOptions,
} from './ullage-client.ts'
