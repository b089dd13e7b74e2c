/**
 * A repository on a host that runs no hooks of headgate's, and a relay for it. The host's own rule is an `update` hook that
 * behaves as a ruleset of a forge does: one account may move the release branch and the ledger.
 */
import { generateKeyPairSync } from 'node:crypto'
import { appendFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { LEDGER_BRANCH } from '../../src/core/refs.ts'
import { statementPayload } from '../../src/core/statement.ts'
import { sealKeyOf } from '../../src/guard/seal-key.ts'
import { applyByRelay } from '../../src/relay/begin.ts'
import { openCache } from '../../src/relay/cache.ts'
import { Host } from '../../src/relay/host.ts'
import type { Relay, RelayEvent } from '../../src/relay/relay.ts'
import { POLICY, REPOSITORY_NAME, TestRepository } from '../make-repository.ts'
import { GIT } from '../open-repository.ts'

export const RELAY_POLICY = POLICY.replace('staging: main', 'guard: relay\nstaging: main')

const RULESET = `#!/bin/sh
# As a forge's rule does: the words go to whoever pushes, and the ref is declined.
[ "$TEST_PUSHER" = relay ] && exit 0
case $1 in
refs/heads/release | refs/heads/headgate/*)
	echo "error: GH013: Repository rule violations found for $1." >&2
	echo "- Cannot update this protected ref." >&2
	exit 1
	;;
esac
`

export type TestRelay = Relay & { readonly events: RelayEvent[] }

export class RelayedHost {
  readonly repository: TestRepository
  readonly #sealKey = sealKeyOf(generateKeyPairSync('ed25519').privateKey)
  readonly #objectFormat: 'sha1' | 'sha256'

  constructor({ policy = RELAY_POLICY, objectFormat = 'sha1' as 'sha1' | 'sha256' } = {}) {
    this.#objectFormat = objectFormat
    this.repository = new TestRepository({ install: false, policy, objectFormat })
    onTestFinished(() => this.repository.remove())
    const hooks = join(this.repository.bare, 'hooks')
    mkdirSync(hooks, { recursive: true })
    writeFileSync(join(hooks, 'update'), RULESET, { mode: 0o755 })
  }

  get sealKeyLine(): string {
    return this.#sealKey.publicKeyLine
  }

  /** A relay with a cache of its own; two of them are two machines. */
  async relay({
    clock = Date.now,
    env = {},
  }: {
    clock?: () => number
    env?: Record<string, string>
  } = {}): Promise<TestRelay> {
    const folder = mkdtempSync(join(this.repository.folder, 'cache-'))
    const cache = await openCache(folder, GIT, this.#objectFormat)
    onTestFinished(() => cache.close())
    const environment = { ...this.repository.env, TEST_PUSHER: 'relay', ...env }
    const host = new Host({ url: this.repository.bare, gitPath: GIT, environment }, folder)
    const events: RelayEvent[] = []
    const tell = (event: RelayEvent) => void events.push(event)
    return { ledgerRef: LEDGER_BRANCH, host, cache, sealKey: this.#sealKey, clock, tell, events }
  }

  /** A relay, and the policy in force. */
  async begin(): Promise<TestRelay> {
    const relay = await this.relay()
    await applyByRelay(relay, this.policyFiles(), { by: 'admin' })
    return relay
  }

  policyFiles(policy = this.repository.policy) {
    const allowedSigners = this.repository.run('cat', [
      join(this.repository.policyFolder, 'allowed_signers'),
    ]).stdout
    return { policy, allowedSigners }
  }

  get ledgerRef(): string {
    return LEDGER_BRANCH
  }

  ref(name: string): string | null {
    return this.repository.ref(name)
  }

  get release(): string | null {
    return this.ref('refs/heads/release')
  }

  subjects(): string[] {
    return this.repository.server('log', '--reverse', '--format=%s', this.ledgerRef).split('\n')
  }

  inbox(): string[] {
    return this.repository
      .server('for-each-ref', '--format=%(refname)', 'refs/headgate/inbox/')
      .split('\n')
      .filter(Boolean)
  }

  answers(): string[] {
    return this.repository
      .server('for-each-ref', '--format=%(refname)', 'refs/headgate/answers/')
      .split('\n')
      .filter(Boolean)
  }

  /** The envelope of a request by an operator; `change` edits the predicate before it is signed. */
  request(
    to: string,
    {
      by = 'alice',
      from = this.release ?? '0'.repeat(to.length),
      repository = REPOSITORY_NAME,
      change = (_: any) => {},
    } = {},
  ): string {
    const predicate = {
      ...{ ref: 'refs/heads/release', from, to, nonce: `nonce ${Math.random()}` },
      issuedAt: new Date().toISOString(),
      expiresAt: new Date(Date.now() + 600_000).toISOString(),
    }
    change(predicate)
    return this.repository.sign(
      statementPayload('request', repository, to, predicate),
      by,
      'headgate-approval',
    )
  }

  /** Pushes main and passing evidence for it, and asks for its promotion. */
  askFor(subject: string): string {
    const commit = this.repository.commit(subject)
    this.repository.pushProved(commit)
    this.ask(this.request(commit))
    return commit
  }

  ask(envelope: string, as = 'dev'): void {
    this.repository.mustRun(this.repository.submit(envelope, as))
  }

  /** From now on two changes are never one here. */
  withoutAtomic(): void {
    appendFileSync(join(this.repository.bare, 'config'), '[receive]\n\tadvertiseAtomic = false\n')
  }
}
