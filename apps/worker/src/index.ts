export { runWorker } from './run-worker.ts'
export { type RunningWorker, startWorker, type StartWorkerOptions } from './start-worker.ts'
export { readWorkerConfig, type WorkerConfig, WorkerConfigError } from './worker-config.ts'
