import { answerChecks } from '@ullage/vmcore/answer-checks'
import { openDecompress } from './decompress.ts'

answerChecks(openDecompress)
