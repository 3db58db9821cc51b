import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** An authority of its own in `folder`, made by openssl. */
export class CertificateAuthority {
  readonly #folder: string
  readonly #name: string

  constructor(folder: string, name: string) {
    this.#folder = folder
    this.#name = name
    const made = ['-keyout', this.#path('key'), '-out', this.certFile, '-days', '2']
    openssl('req', '-x509', ...EC, '-nodes', '-subj', `/CN=${name}`, ...made)
  }

  get certFile(): string {
    return this.#path('crt')
  }

  /** A certificate for 127.0.0.1, or for a client of this name, with its key. */
  issue(name: string): { certFile: string; keyFile: string } {
    const [certFile, keyFile] = [join(this.#folder, `${name}.crt`), join(this.#folder, `${name}.key`)]
    const request = join(this.#folder, `${name}.csr`)
    const extensions = join(this.#folder, `${name}.ext`)
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n')
    openssl('req', ...EC, '-nodes', '-subj', `/CN=${name}`, '-keyout', keyFile, '-out', request)
    const by = ['-CA', this.certFile, '-CAkey', this.#path('key'), '-CAcreateserial', '-extfile', extensions]
    openssl('x509', '-req', '-in', request, ...by, '-days', '2', '-out', certFile)
    return { certFile, keyFile }
  }

  #path(suffix: string): string {
    return join(this.#folder, `${this.#name}.${suffix}`)
  }
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' })
}
