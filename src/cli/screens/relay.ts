/** What `headgate relay` prints, and the signals that it listens to. */
import type { BegunRelay } from '../../app/relay/begin-relay.ts'
import { type RunRelayEvent, runRelayOnce, watchHosts } from '../../app/relay/run-relay.ts'
import { EXIT_CODES } from '../../core/errors.ts'
import { shortRef } from '../../core/explain.ts'
import { shortOid } from '../../core/oid.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { withoutSecrets } from '../../core/without-secrets.ts'
import { note, plural, print, printError, printJson } from '../output.ts'
import { thisCaller } from '../this-caller.ts'
import { type Forge, forgeOf, hostSettings } from './host-settings.ts'

export function showBegun(
  { relay, policy }: BegunRelay,
  { forge, json }: { forge?: Forge | undefined; json: boolean },
): void {
  const { release, staging, repository } = policy.policy
  const settings = hostSettings(forge ?? forgeOf(relay.host), {
    url: relay.host,
    release,
    staging,
    ledger: policy.ledgerRef,
    deployKeyLine: relay.deployKeyLine,
  })
  if (json) {
    const { version, changed, baseline, ledgerRef } = policy
    const { folder, host, sealKeyLine, deployKeyLine } = relay
    printJson({
      ...{
        folder,
        host: withoutSecrets(host),
        repository,
        ledger: ledgerRef,
        sealKey: sealKeyLine,
        deployKey: deployKeyLine,
      },
      policy: { version, changed, baseline, from: policy.from },
      settings,
    })
    return
  }
  showApplied(policy, false)
  print(`the ledger of ${repository} is ${shortRef(policy.ledgerRef)} on the host`)
  print(`the keys of this relay are in ${shellWord(relay.folder)}; auditors get seal-key.pub:`)
  print(`  ${relay.sealKeyLine}`)
  print('')
  print('Now set on the host, so that nobody but the relay moves the release branch:')
  for (const line of settings) print(line === '' ? '' : `  ${line}`)
  print('')
  print('Then start it, as a service or in a job:')
  print(`  headgate relay ${shellWord(relay.folder)}`)
}

export function showApplied(
  { version, changed, baseline, policy, from }: BegunRelay['policy'],
  json: boolean,
): void {
  if (json) {
    printJson({ version, changed, baseline, from })
    return
  }
  const { release, staging } = policy
  print(
    changed
      ? `policy version ${version} is in force now, from ${printable(from, 300)}: ${release} follows ${staging}`
      : `policy version ${version} is in force already; nothing changed`,
  )
  if (baseline !== null) print(`  ${release} at ${shortOid(baseline)} is recorded as the baseline`)
}

/** One line for each thing that happened; the reasons of a refusal below it. */
export function relayLines({ host, ...told }: RunRelayEvent): string[] {
  const at = printable(withoutSecrets(host), 200)
  if (told.kind === 'failed')
    return [`${at}: ${printable(withoutSecrets(told.error.message.split('\n')[0] ?? ''), 400)}`]
  const { event } = told
  switch (event.kind) {
    case 'moved': {
      const span = `${shortOid(event.from)} -> ${shortOid(event.to)}`
      return [
        `${at}: ${event.move} ${span}, asked for by ${printable(event.by, 80)} (record ${event.record})`,
      ]
    }
    case 'recorded':
      return [`${at}: ${plural(event.count, 'record')} written, up to ${event.head}`]
    case 'refused':
      return [
        `${at}: refused ${printable(event.name, 12)}: ${event.rules.join(', ')}`,
        ...event.lines.map((line) => `  ${printable(line, 300)}`),
      ]
    case 'host-refused':
      return [`${at}: the host refused the push`, ...event.words.map((line) => `  ${printable(line, 300)}`)]
    case 'removed':
      return [`${at}: ${plural(event.count, 'ref')} of the inbox taken away unanswered`]
    case 'not-landed':
      return [`${at}: the move of record ${event.record} did not land`]
  }
}

export async function relayHosts(
  folders: readonly string[],
  { once, everyMs, json }: { readonly once: boolean; readonly everyMs: number; readonly json: boolean },
): Promise<void> {
  const tell = (event: RunRelayEvent) => {
    if (event.kind === 'failed') printError(event.error)
    if (json) return
    for (const line of relayLines(event)) print(line)
  }
  if (once) {
    const run = await runRelayOnce(thisCaller(), folders, tell)
    if (json) printJson(run)
    if (run.failed > 0) process.exitCode = EXIT_CODES.unavailable
    return
  }
  const ended = new AbortController()
  let pause = new AbortController()
  const wake = () => {
    pause.abort()
    pause = new AbortController()
  }
  process.on('SIGUSR1', wake)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort())
  note(`relaying ${plural(folders.length, 'repository', 'repositories')}`)
  await watchHosts(thisCaller(), folders, { everyMs, ended: ended.signal, woken: () => pause.signal }, tell)
  process.off('SIGUSR1', wake)
}
