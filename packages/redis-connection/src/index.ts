export { type ConnectRedisOptions, connectRedis, type RedisConnection } from './connect-redis.ts'
export { connectSubscriber, openClient, type RedisClient } from './redis-client.ts'
export { RedisRefused, refusalOf } from './refusal.ts'
export { redisSecretPaths } from './redis-secret-paths.ts'
