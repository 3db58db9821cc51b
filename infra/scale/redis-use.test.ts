import { expect, test } from 'vitest'
import { parseInfo, perJobAndSecond } from './redis-use.ts'

const INFO = [
  '# Server',
  'redis_version:7.0.15',
  'used_memory:1000',
  'mem_clients_normal:200',
  'mem_aof_buffer:50',
  'used_memory_scripts_eval:30',
  'connected_clients:3',
  'total_net_input_bytes:70',
  'total_net_output_bytes:30',
  'used_cpu_sys:0.5',
  'used_cpu_user:1.25',
  'cmdstat_set:calls=5,usec=9,usec_per_call=1.8,rejected_calls=0,failed_calls=0',
  'cmdstat_evalsha:calls=2,usec=9',
  'cmdstat_publish:calls=4,usec=9',
  'cmdstat_hgetall:calls=6,usec=9',
  'cmdstat_info:calls=100,usec=9',
].join('\r\n')

test('what INFO says', () => {
  expect(parseInfo(INFO, 12)).toEqual({
    atMs: 12,
    version: '7.0.15',
    commands: 17,
    scripts: 2,
    hints: 4,
    hashReads: 6,
    netBytes: 100,
    cpuMs: 1750,
    dataBytes: 720,
    clients: 3,
    clientBytes: 200,
  })
})

test('a Redis that does not tell is no Redis of zero bytes', () => {
  expect(() => parseInfo(INFO.replace('used_memory:1000', ''), 0)).toThrow('Redis INFO has no used_memory')
})

test('what a job costs, and what a second of it', () => {
  // 40 a job and 3 a second.
  const use = (jobs: number, seconds: number) => ({
    jobs,
    seconds,
    use: { commands: 40 * jobs + 3 * seconds, scripts: jobs, hints: seconds, netBytes: 0, cpuMs: 0 },
  })
  const { perJob, perSecond } = perJobAndSecond(use(200, 50), use(5, 75))
  expect(perJob.commands).toBeCloseTo(40)
  expect(perSecond).toMatchObject({ commands: expect.closeTo(3), hints: expect.closeTo(1), scripts: expect.closeTo(0) })
  expect(perJob).toMatchObject({ scripts: expect.closeTo(1), netBytes: expect.closeTo(0) })
  expect(() => perJobAndSecond(use(2, 2), use(4, 4))).toThrow(RangeError)
})
