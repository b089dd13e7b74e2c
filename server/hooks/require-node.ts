/** For a program that a hook starts by the path of a Node that may be another one by now: imported before all else. */
import { writeSync } from 'node:fs'
import { nodeComplaint } from '../node-version.ts'

const complaint = nodeComplaint(process.execPath, process.version)
if (complaint !== null) {
  const fix = 'the server admin installs again with a newer one: headgate server install'
  writeSync(1, `failed\nheadgate: ${complaint}\n  ${fix}\n`)
  process.exit()
}
