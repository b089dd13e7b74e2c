/** What `headgate init` prints. */
import type { Learned } from '../../app/clone/learn-remotes.ts'
import type { InitEvent } from '../../app/init.ts'
import { SCHEMA_FILE } from '../../app/starting-policy.ts'
import { printable } from '../../core/printable.ts'
import { note, print } from '../output.ts'

export function tellInit(event: InitEvent): void {
  switch (event.kind) {
    case 'policy-file':
      showPolicyFile(event)
      break
    case 'hooks':
      showHooks(event)
      break
    case 'remotes':
      for (const remote of event.remotes) showRemote(remote)
      break
  }
}

export function showRemoved(changed: readonly string[]): void {
  print(changed.length === 0 ? 'there are no client hooks of headgate here' : 'the client hooks are gone:')
  for (const path of changed) print(`  ${printable(path, 1024)}`)
}

function showPolicyFile({ name, written }: Extract<InitEvent, { kind: 'policy-file' }>): void {
  if (!written) {
    note(`remark: .headgate/${name} is there already and stays as it is`)
    return
  }
  const next =
    name === SCHEMA_FILE ? 'editors check the policy by it' : 'edit it, then: headgate policy check'
  print(`wrote .headgate/${name}; ${next}`)
}

/** Who starts the hooks. */
const STARTERS = {
  husky: 'husky',
  lefthook: 'lefthook',
  'pre-commit': 'pre-commit',
  git: 'git',
  'own-folder': 'git',
}

function showHooks({ runner, changed, remarks }: Extract<InitEvent, { kind: 'hooks' }>): void {
  const by = STARTERS[runner.kind]
  print(
    changed.length === 0
      ? `the client hooks are there already, started by ${by}`
      : `the client hooks are there now, started by ${by}:`,
  )
  for (const path of changed) print(`  ${printable(path, 1024)}`)
  for (const remark of changed.length === 0 ? [] : remarks) note(`remark: ${printable(remark, 1024)}`)
}

function showRemote({ name, outcome }: Learned): void {
  const shown = printable(name, 100)
  if (outcome.kind === 'guarded') print(`${shown} is guarded: ${outcome.staging} and ${outcome.release}`)
  else if (outcome.kind === 'open') print(`${shown} is not guarded`)
  else {
    note(`remark: ${shown} could not be looked at (${printable(outcome.reason, 200)})`)
    note(
      '  the hooks look when a branch is pushed that .headgate/policy.yaml names; without one, main or release',
    )
  }
}
