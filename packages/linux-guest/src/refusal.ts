/** Why one VMCOREINFO candidate is not this guest's. Never leaves the package: it becomes a line of a LinuxGuestError. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}
