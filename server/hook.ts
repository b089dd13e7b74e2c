/** What a shell hook starts where no service answers: the program beside this one, as far as it can be compiled already. */
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { runCompiled } from './compiled-code.ts'
import type * as DecideHook from './decide-hook.ts'
import { nodeComplaint } from './node-version.ts'

const PROGRAM = join(__dirname, 'decide-hook.cjs')
/** The hook names the folder of its repository. */
const CACHE = process.env.HEADGATE_CACHE

const complaint = nodeComplaint(process.execPath, process.version)
if (complaint !== null) {
  writeSync(
    1,
    `failed\nheadgate: ${complaint}\n  the server admin installs again with a newer one: headgate server install\n`,
  )
  process.exit()
}
try {
  const code = runCompiled<typeof DecideHook>(PROGRAM, CACHE, require)
  code.exports.decideHook(code)
} catch (error) {
  const { message } = error as Error
  writeSync(
    1,
    `failed\nheadgate: ${PROGRAM} cannot run: ${message}\n  the server admin installs again: headgate server install\n`,
  )
  process.exit()
}
