/** What a tenant is told of a failure with one code. */
export interface FailureWords {
  /** What happened. */
  readonly what: string
  /** What to do. */
  readonly remedy: string
  /** Whether the failure's own message is of the guest's memory or kernel, and so worth repeating where it names no place. */
  readonly isOfGuest?: true
}

const OPERATOR = 'ask who runs this service; its log has more'
const LATER = `post it again in some minutes; if it stays so, ${OPERATOR}`

/** By code, of every package whose errors end a dump, of the worker and of the API. */
export const failureWords: Readonly<Record<string, FailureWords>> = {
  // Of a hypervisor or a guest.
  INVALID: { what: 'what the host has of this guest does not fit together', remedy: OPERATOR, isOfGuest: true },
  GUEST_NOT_FOUND: {
    what: 'its host has no such guest now',
    remedy: 'see whether the guest runs, and GET /v1/guests for those there are',
  },
  BUSY: { what: 'somebody else holds the guest', remedy: LATER },
  GUEST_BUSY: { what: 'another dump of the guest, or something else, holds it', remedy: LATER },
  MONITOR_BUSY: { what: "something else holds the guest's monitor", remedy: LATER },
  UNSUPPORTED: {
    what: 'the guest, or what its host has of it, is in a version, mode or state that cannot be dumped',
    remedy: OPERATOR,
    isOfGuest: true,
  },
  UNSUITABLE: {
    what: 'the guest is in a state in which it cannot be dumped',
    remedy: `post it again when it runs; if it stays so, ${OPERATOR}`,
    isOfGuest: true,
  },
  CORRUPT: { what: 'what the host has of this guest breaks its own format', remedy: OPERATOR, isOfGuest: true },
  BAD_DATA: { what: 'what the host has of this guest breaks its own format', remedy: OPERATOR },
  BAD_NOTES: { what: "the hypervisor's notes on the guest cannot be used", remedy: OPERATOR, isOfGuest: true },
  TRUNCATED: { what: 'what the host has of this guest ends too early', remedy: OPERATOR },
  UNAVAILABLE: { what: 'the hypervisor stopped answering', remedy: LATER },
  UNREADABLE: { what: "some of the guest's memory cannot be read", remedy: LATER, isOfGuest: true },
  MEMORY_UNREADABLE: { what: "some of the guest's memory cannot be read", remedy: LATER, isOfGuest: true },
  NOT_FOUND: { what: 'the host no longer has what the guest is read from', remedy: LATER },
  GONE: { what: 'the guest, or its hypervisor, went away', remedy: 'see whether the guest runs, then post it again' },
  DENIED: { what: 'the host does not let the service read this guest', remedy: OPERATOR },
  ACCESS_DENIED: { what: 'the host does not let the service read this guest', remedy: OPERATOR },
  NOT_CONTROL_DOMAIN: { what: 'the host does not let the service read this guest', remedy: OPERATOR },
  NOT_LISTENING: {
    what: 'nobody answers for the guest on its host',
    remedy: 'see whether the guest runs, then post it again',
  },
  NOT_A_MONITOR: { what: 'what answers for the guest on its host is no hypervisor', remedy: OPERATOR },
  TIMEOUT: { what: 'the hypervisor, or a disk of the host, did not answer in time', remedy: LATER },
  COMMAND_FAILED: { what: 'the hypervisor refused what was asked of it', remedy: OPERATOR },
  UNEXPECTED_ANSWER: { what: 'the hypervisor answered what is not understood', remedy: OPERATOR },
  RESUMED_BY_OTHERS: { what: 'somebody let the guest run while it had to stand still', remedy: LATER },
  GUARDIAN_FAILED: { what: 'nothing could be set to watch over the paused guest, so it was let run', remedy: LATER },
  NO_VMCOREINFO: {
    what: "the guest's kernel does not say how its memory is to be read",
    remedy: 'see whether it is a Linux kernel with VMCOREINFO, or post it with "trust": "host"',
    isOfGuest: true,
  },
  NO_VALID_VMCOREINFO: {
    what: "what the guest's kernel says of its memory does not fit the memory that is there",
    remedy: 'post it with "trust": "host"',
    isOfGuest: true,
  },
  KERNEL_NOT_RUNNING: {
    what: "the guest's kernel was not running yet, or no longer",
    remedy: 'post it again when it runs, or with "trust": "host"',
    isOfGuest: true,
  },
  KEXEC_UNKNOWN: {
    what: "what the guest's kernel has loaded for kexec cannot be told",
    remedy: OPERATOR,
    isOfGuest: true,
  },
  // Of the engine and its host.
  INVALID_OPTION: { what: 'these options cannot be used together', remedy: 'post it with others', isOfGuest: true },
  CODEC_MISSING: { what: 'the host cannot compress so', remedy: 'post it with another compression', isOfGuest: true },
  LIBRARY_MISSING: { what: 'the host lacks a library that this dump takes', remedy: OPERATOR },
  NO_THREADS: { what: 'the host could not start what compresses', remedy: LATER },
  NO_SPACE: { what: "a disk of the guest's host is full", remedy: OPERATOR },
  OUTPUT_EXISTS: { what: 'there is an artifact already where this one was to be', remedy: OPERATOR },
  OUTPUT_NOT_WRITABLE: { what: 'the artifact cannot be written', remedy: OPERATOR },
  VERIFY_FAILED: { what: 'what was written could not be read back as it should be', remedy: LATER },
  NOT_A_VMCORE: { what: 'what was written could not be read back as it should be', remedy: LATER },
  NOT_STORED: { what: 'what was written could not be read back as it should be', remedy: LATER },
  FAILED: { what: 'the host could not do a part of it', remedy: LATER },
  // Of the place of artifacts.
  STORE_UNAVAILABLE: { what: 'the place of artifacts did not answer', remedy: LATER },
  STORE_REFUSED: { what: 'the place of artifacts refused it', remedy: OPERATOR },
  STORE_CORRUPT: { what: 'what lies in the place of artifacts is damaged', remedy: OPERATOR },
  KEY_UNKNOWN: { what: 'the artifact is encrypted with a key that is not known here', remedy: OPERATOR },
  KEY_UNAVAILABLE: { what: 'the key to encrypt with could not be had', remedy: LATER },
  KEY_REFUSED: { what: 'the key to encrypt with was refused', remedy: OPERATOR },
  // Of the worker and the queue.
  CHILD_DIED: { what: 'the process that made the dump died', remedy: LATER },
  CHILD_SILENT: { what: 'the process that made the dump showed no progress, and was ended', remedy: LATER },
  WORKER_LOST: { what: 'the worker was lost while it made the dump', remedy: LATER },
  LOCK_LOST: { what: 'the queue gave this dump to another attempt', remedy: 'wait for that one' },
  JOB_INVALID: { what: 'the worker does not understand what was asked of it', remedy: OPERATOR },
  CANCELLED: { what: 'it was cancelled', remedy: 'post another one if it is still wanted' },
  LOST: { what: 'the queue no longer knows this dump, which a worker had begun', remedy: 'post it again' },
  INTERNAL: { what: 'something went wrong that nobody foresaw', remedy: OPERATOR },
}

/** Of a code that the table does not have: a later worker's. */
export const unknownFailure: FailureWords = { what: 'the host could not do it', remedy: OPERATOR }
