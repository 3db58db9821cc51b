import { answerChecks } from '../src/answer-checks.ts'
import { decompress } from './page-codecs.ts'

answerChecks(() => ({ ...decompress, [Symbol.dispose]: () => undefined }))
