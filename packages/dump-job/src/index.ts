export { type DumpFailure, dumpFailure, failureOfReason, reasonOfFailure, toFailure } from './dump-failure.ts'
export { type DumpJob, dumpJob, keepFinishedSeconds, type PagesJob, pagesJob, retries } from './dump-job.ts'
export { type FailureWords, failureWords } from './failure-words.ts'
export { failureForTenant, toldToTenant, withoutPlaces } from './told-to-tenant.ts'
export { makeFolder, makeFolderSync } from './make-folder.ts'
export {
  compression,
  dumpFormat,
  dumpLevel,
  type DumpOptions,
  dumpOptions,
  type DumpRequest,
  dumpRequest,
  type Priority,
  priority,
  pvTables,
  trust,
} from './dump-options.ts'
export { type DumpProgress, dumpProgress } from './dump-progress.ts'
export {
  type Artifact,
  artifact,
  classMatrix,
  dumpReport,
  type DumpResult,
  dumpResult,
  publishedFiles,
  type PublishedReport,
  resultOfReport,
  warning,
} from './dump-report.ts'
export { type DumpEvent, dumpEvent, type DumpResource, dumpResource } from './dump-resource.ts'
export { activeStates, canBecome, type DumpState, dumpState, isFinished } from './dump-state.ts'
export {
  type GuestAnnouncement,
  guestAnnouncement,
  type HostAnnouncement,
  hostAnnouncement,
} from './guest-announcement.ts'
export {
  cancelKey,
  type CancelOrder,
  cancelOrder,
  changedChannel,
  controlChannel,
  dumpId,
  dumpQueueName,
  guestHostsKey,
  tenantGuestHostsKey,
  guestId,
  heartbeat,
  hostAliveKey,
  hostDrainKey,
  hostId,
  hostKey,
  hostsKey,
  hostTurnsKey,
  hostWriteProbeKey,
  type JobChanged,
  jobChanged,
  pagesQueueName,
  queuePrefix,
  tenantId,
} from './names.ts'
export {
  type RedisAddress,
  redisAddress,
  type RedisClusterAddress,
  type RedisCredentials,
  type RedisNode,
  type RedisServerAddress,
} from './redis-address.ts'
export { traceparent } from './traceparent.ts'
export { decimalSetting, type NumberSettingOptions, wholeNumberSetting } from './number-setting.ts'
export { removeStaleSocket } from './remove-stale-socket.ts'
export { unlessAborted } from './unless-aborted.ts'
