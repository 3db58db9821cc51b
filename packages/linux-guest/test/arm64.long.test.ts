import { bootGuest, type GuestOptions, type LabGuest, openStoppedMemory, type StoppedMemory } from '@ullage/lab'
import { arm64_prstatus, NT_PRSTATUS, readElfNotes } from '@ullage/layout'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { openLinuxGuest } from '../src/index.ts'
import { expectAgreement } from './arm64-agreement.ts'

interface Case {
  readonly what: string
  readonly options: GuestOptions
  readonly pageBytes: number
  /** 64 - NUMBER(TCR_EL1_T1SZ). */
  readonly addressBits: number
}

const cases: readonly Case[] = [
  {
    what: '4 KiB, built for 48 bits',
    options: { era: 'bookworm-arm64', cpu: 'neoverse-n1', vmcoreinfo: false },
    pageBytes: 4096,
    addressBits: 48,
  },
  {
    what: '4 KiB, built for 52 bits on a processor with 48',
    options: { era: 'trixie-arm64', cpu: 'neoverse-n1', freePageReporting: true },
    pageBytes: 4096,
    addressBits: 48,
  },
  { what: '4 KiB, newest kernel, 52 bits', options: { era: 'sid-arm64' }, pageBytes: 4096, addressBits: 52 },
  { what: '16 KiB, 52 bits', options: { era: 'trixie-arm64-16k' }, pageBytes: 16_384, addressBits: 52 },
  {
    what: '16 KiB, built for 52 bits on a processor with 48',
    options: { era: 'trixie-arm64-16k', cpu: 'neoverse-n1' },
    pageBytes: 16_384,
    addressBits: 47,
  },
]

test.each(cases)('$options.era: $what', async ({ options, pageBytes, addressBits }) => {
  await using guest = await bootGuest({ memMiB: 256, balloonMiB: 96, ...options })
  const truth = await guest.truth()
  expect(truth.vmcoreinfoText).toContain(`NUMBER(TCR_EL1_T1SZ)=0x${(64 - addressBits).toString(16)}\n`)
  await expectAgreement(guest, truth, pageBytes)
})

describe('vCPUs of a live guest', () => {
  /** Whether every vCPU is in a process. */
  function areAllInProcesses({ elfNotes }: StoppedMemory): boolean {
    const cpus = [...readElfNotes(elfNotes)].filter(({ name, type }) => name === 'CORE' && type === NT_PRSTATUS)
    return cpus.every(({ desc }) => (arm64_prstatus.read(desc).pstate & 0xcn) === 0n)
  }

  /** Lets the guest run between two looks, longer each time: what it does when stopped at once again is wake up. */
  async function stopInProcesses(guest: LabGuest): Promise<StoppedMemory> {
    const until = performance.now() + 60_000
    for (let runMs = 5; performance.now() < until; runMs = Math.min(runMs * 1.3, 500)) {
      await setTimeout(runMs)
      await guest.stop()
      const memory = await openStoppedMemory(guest)
      if (areAllInProcesses(memory)) return memory
      memory[Symbol.dispose]()
      await guest.cont()
    }
    throw new Error('the vCPUs were never all in processes, in a minute')
  }

  test('busy in processes, then reset', async () => {
    await using guest = await bootGuest({ era: 'trixie-arm64', memMiB: 256, cpu: 'neoverse-n1' })
    await guest.exec('for i in 1 2 3 4; do (while :; do :; done) & done')
    {
      using memory = await stopInProcesses(guest)
      const options = { elfNotes: memory.elfNotes, expectVcpus: true }
      const noted = await openLinuxGuest(memory.view, options)
      expect(noted.warnings.map(({ code }) => code)).toEqual(['VCPUS_IN_PROCESSES'])
      const vcpus = memory.elfNotes.subarray(0, Buffer.from(memory.elfNotes).indexOf('VMCOREINFO') - 12)
      const searched = await openLinuxGuest(memory.view, { elfNotes: vcpus, expectVcpus: true })
      expect(searched).toMatchObject({ kernel: noted.kernel, vmcoreinfoFrom: 'scan' })
    }
    await guest.qmp('set-action', { reboot: 'reset' })
    await guest.qmp('system_reset')
    using reset = await openStoppedMemory(guest)
    const refusal = { code: 'KERNEL_NOT_RUNNING' }
    await expect(openLinuxGuest(reset.view, { elfNotes: reset.elfNotes, expectVcpus: true })).rejects.toMatchObject(
      refusal,
    )
  })
})
