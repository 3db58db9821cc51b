import { makeKey } from './make-key.ts'
import { runApi } from './run-api.ts'

const [command, ...args] = process.argv.slice(2)
if (command === 'make-key') process.exitCode = makeKey(args)
else await runApi()
