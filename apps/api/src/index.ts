export { type ApiConfig, ApiConfigError, readApiConfig } from './api-config.ts'
export { runApi } from './run-api.ts'
export { type RunningApi, startApi } from './start-api.ts'
