import type { Cluster } from 'ioredis'

/**
 * Has `connect` of a Cluster's client, and of those that are made from it, always settle. It resolves when commands are answered,
 * and throws when the attempt has ended without that; the next attempt may be under way. ioredis 6.0 leaves the promise open when
 * the servers answer that the Cluster is down, and BullMQ waits for it before it asks for the next job.
 */
export function settleConnect(cluster: Cluster): Cluster {
  const connect = cluster.connect.bind(cluster)
  cluster.connect = async () => {
    const { promise: ended, reject } = Promise.withResolvers<never>()
    const onClose = () => reject(new Error('the connection to the Redis Cluster was closed before it was ready'))
    cluster.once('close', onClose)
    try {
      await Promise.race([connect(), ended])
    } finally {
      cluster.off('close', onClose)
    }
  }
  const duplicate = cluster.duplicate.bind(cluster)
  cluster.duplicate = ((...asked: Parameters<typeof duplicate>) =>
    settleConnect(duplicate(...asked))) as typeof cluster.duplicate
  return cluster
}
