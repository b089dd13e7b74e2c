/** What `--keep` leaves to go on by hand: the environment of the tour as a file, and commands to paste. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { shellWord } from '../../core/printable.ts'
import { print } from '../output.ts'
import { GATES } from './policy-files.ts'
import { actorEnvironment, cleanEnvironment } from './stage.ts'

export function writeEnvironmentFile(folder: string): void {
  const variables = { ...cleanEnvironment(folder), ...actorEnvironment('alice') }
  const program = [process.execPath, process.argv[1] ?? ''].map(shellWord).join(' ')
  const lines = [
    '# The environment of the headgate demo, for a terminal of its own. Read by: . ./env.sh',
    // What the user's own terminal may carry and the tour did not.
    'unset $(env | sed -n "s/^\\(GIT_[A-Z_0-9]*\\)=.*/\\1/p") HEADGATE_KEY MODE BASE',
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${shellWord(value)}`),
    `headgate() { ${program} "$@"; }`,
    '',
  ]
  writeFileSync(join(folder, 'env.sh'), lines.join('\n'))
}

export function printKeepHints(folder: string): void {
  const gates = GATES.join(' ')
  print(`
The folder is kept: ${folder}
  app.git   the server's repository     dev   dave's clone, where CI works, too
  keys      of ci, alice and bob        ops   the clone of alice and bob

To go on by hand, in a new terminal (it becomes the demo's own, with USER=alice):

  cd ${shellWord(folder)} && . ./env.sh
  cd dev
  USER=dave git commit --allow-empty -m 'My change'
  USER=dave git push origin main
  git push origin HEAD:release                      # refused: no evidence

The two applications ended with the demo. In place of a gate run, record results:

  headgate evidence add --commit HEAD --key ../keys/ci \\
    --served-commit $(git rev-parse HEAD) --passed ${gates}
  headgate evidence list HEAD
  USER=dave git push origin HEAD:release            # refused: dave is no operator
  git push origin HEAD:release                      # lands
  git --git-dir=../app.git log --format='%h %s' refs/headgate/ledger

When you are done:  rm -rf ${shellWord(folder)}`)
}
