import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, readlinkSync, rmSync, writeSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { addressOf } from './address.ts'
import { cachestat } from './cachestat.ts'
import { fileSystemType } from './file-system-type.ts'
import { lockFile, unlockFile } from './lock-file.ts'
import { memfdCreate } from './memfd-create.ts'
import { pageSize } from './page-size.ts'
import { peerPid } from './peer-pid.ts'
import { scanPages } from './scan-pages.ts'
import { sendFd } from './send-fd.ts'
import { systemError } from './system-error.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-native-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('an error of a system call looks like one of Node', () => {
  expect(systemError('lseek', 6, 'fd 3')).toMatchObject({
    code: 'ENXIO',
    errno: -6,
    syscall: 'lseek',
    message: 'ENXIO: no such device or address, lseek fd 3',
  })
  expect(systemError('lseek', 4000).code).toBe('ERRNO_4000')
})

test('tells file systems apart', () => {
  const memfd = memfdCreate('ullage-test')
  const proc = openSync('/proc/self/status', 'r')
  try {
    expect(fileSystemType(memfd)).toEqual({ name: 'tmpfs', magic: 0x0102_1994, blockBytes: pageSize() })
    expect(fileSystemType(proc).name).toBe('proc')
    expect(() => fileSystemType(0x7fff_fff0)).toThrow(expect.objectContaining({ code: 'EBADF', syscall: 'fstatfs' }))
  } finally {
    closeSync(memfd)
    closeSync(proc)
  }
})

test('a memfd has its name, is empty, and refuses a name the kernel would', () => {
  const fd = memfdCreate('ullage notes')
  expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe('/memfd:ullage notes (deleted)')
  expect(fstatSync(fd).size).toBe(0)
  closeSync(fd)
  expect(() => memfdCreate('x'.repeat(250))).toThrow(RangeError)
  expect(() => memfdCreate('a\0b')).toThrow(RangeError)
})

test('one open file has the lock at a time', () => {
  const path = join(folder, 'lock')
  const first = openSync(path, 'w')
  const second = openSync(path, 'r')
  expect(lockFile(first)).toBe(true)
  expect(lockFile(first)).toBe(true)
  expect(lockFile(second)).toBe(false)
  unlockFile(first)
  expect(lockFile(second)).toBe(true)
  expect(lockFile(first)).toBe(false)
  closeSync(second)
  expect(lockFile(first)).toBe(true)
  closeSync(first)
  expect(() => lockFile(0x7fff_fff0)).toThrow(expect.objectContaining({ code: 'EBADF' }))
})

test('cachestat counts the pages of a memfd, or says that the kernel has none', () => {
  const fd = memfdCreate('ullage-test')
  ftruncateSync(fd, 64 * pageSize())
  writeSync(fd, Buffer.alloc(3 * pageSize(), 1), 0, 3 * pageSize(), 8 * pageSize())
  const stat = cachestat(fd, 0, 64 * pageSize())
  if (stat) {
    expect(stat.cachePages).toBe(3)
    expect(cachestat(fd, 8 * pageSize(), pageSize())?.cachePages).toBe(1)
  } else {
    expect(isKernelBefore(6, 5)).toBe(true)
  }
  closeSync(fd)
})

function isKernelBefore(major: number, minor: number): boolean {
  const [thisMajor = 0, thisMinor = 0] = release().split('.').map(Number)
  return thisMajor < major || (thisMajor === major && thisMinor < minor)
}

/** Python receives descriptors, which node cannot, and writes their content back. */
const receiver = `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b'hello')
if sys.argv[2] == 'deaf':
    sys.stdin.read(); sys.exit(0)
data, anc, flags, _ = s.recvmsg(65536, socket.CMSG_SPACE(4 * 8))
fds = [fd for level, kind, raw in anc if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS) for fd in array.array('i', raw)]
while len(data) < int(sys.argv[3]): data += s.recv(65536)
print(len(fds), os.pread(fds[0], 100, 0).decode(), len(data), data[:7].decode(), data[-1:].decode(), os.getpid())
`

async function withReceiver(
  mode: string,
  size: number,
  use: (socket: Socket, fd: number, child: ReturnType<typeof spawn>) => Promise<void>,
): Promise<void> {
  const path = join(folder, `${mode}-${size}.sock`)
  const server = createServer().listen(path)
  await once(server, 'listening')
  const child = spawn('python3', ['-c', receiver, path, mode, String(size)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [socket] = (await once(server, 'connection')) as [Socket]
  try {
    // A killed peer resets the connection; the tests look at what sendFd says of it.
    socket.on('error', () => undefined)
    await once(socket, 'data')
    await use(socket, descriptorOf(socket), child)
  } finally {
    socket.destroy()
    child.stdin.end()
    server.close()
  }
}

function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) throw new Error('the socket has no handle')
  return Number(Reflect.get(handle, 'fd'))
}

test.each([7, 3_000_000])('hands a memfd to another process with %i bytes of payload', async (size) => {
  await withReceiver('read', size, async (socket, socketFd, child) => {
    const memfd = memfdCreate('ullage-test')
    writeSync(memfd, 'content of the memfd')
    const payload = Buffer.alloc(size, 'x')
    payload.write('getfd: ')
    sendFd(socketFd, memfd, payload)
    closeSync(memfd)
    expect(peerPid(socketFd)).toBe(child.pid)
    let output = ''
    for await (const chunk of child.stdout ?? []) output += chunk
    const last = size > 7 ? 'x' : ' '
    expect(output).toBe(`1 content of the memfd ${size} getfd:  ${last} ${child.pid}\n`)
  })
})

test('a peer that does not read is given up on, and one that is gone is an error, not a signal', async () => {
  await withReceiver('deaf', 1, async (_socket, socketFd, child) => {
    const memfd = memfdCreate('ullage-test')
    const payload = Buffer.alloc(3_000_000)
    expect(() => sendFd(socketFd, memfd, payload, { timeoutMs: 50 })).toThrow(
      expect.objectContaining({ code: 'ETIMEDOUT', syscall: 'sendmsg' }),
    )
    child.kill('SIGKILL')
    // Without a turn of the event loop, in which node would close its descriptor: sendFd itself sees the peer go.
    expect(() => sendFd(socketFd, memfd, Buffer.from('x'), { timeoutMs: 20_000 })).toThrow(
      expect.objectContaining({ code: 'EPIPE' }),
    )
    expect(() => sendFd(socketFd, memfd, Buffer.alloc(0))).toThrow(RangeError)
    closeSync(memfd)
  })
})

test('peerPid of what is not a unix socket is an error', () => {
  const file = openSync(join(folder, 'file'), 'w')
  expect(() => peerPid(file)).toThrow(expect.objectContaining({ code: 'ENOTSOCK', syscall: 'getsockopt' }))
  closeSync(file)
})

test('peerPid of a listening process is seen from the client too', async () => {
  const path = join(folder, 'self.sock')
  const server = createServer().listen(path)
  await once(server, 'listening')
  const client = connect(path)
  await once(client, 'connect')
  expect(peerPid(descriptorOf(client))).toBe(process.pid)
  client.destroy()
  server.close()
})

test('a scan finds the pages of this process that were touched, or says that the kernel has none', () => {
  const fd = openSync('/proc/self/pagemap', 'r')
  const memory = new Uint8Array(new SharedArrayBuffer(64 * pageSize()))
  const first = Math.ceil(addressOf(memory, 0, 1) / pageSize()) * pageSize()
  const start = first - addressOf(memory, 0, 1)
  for (const index of [3, 4, 40]) memory[start + index * pageSize()] = 1
  const scan = scanPages(fd, first, first + 62 * pageSize())
  if (scan) {
    expect(scan.endBytes).toBe(first + 62 * pageSize())
    for (const index of [3, 4, 40]) {
      const at = first + index * pageSize()
      const region = scan.regions.find(({ startBytes, endBytes }) => startBytes <= at && at < endBytes)
      expect(region).toMatchObject({ present: true, swapped: false, zeroPage: false })
    }
    expect(() => scanPages(fd, first + 1, first + pageSize())).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  } else {
    expect(isKernelBefore(6, 7)).toBe(true)
  }
  closeSync(fd)
})
