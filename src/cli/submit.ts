/** Signing a statement with the user's key and sending it to a guarded remote: what every signing command does. */
import { canonicalJson } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import { NAMESPACES, type SubmittedKind } from '../core/statement.ts'
import { signEnvelope } from '../signing/ssh-keygen-sign.ts'
import type { ClientRepository } from './client-repository.ts'

export const keyOption = {
  key: {
    type: 'string',
    describe:
      'SSH key to sign with: a private key, or a public one whose private half is in the agent [default: $HEADGATE_KEY]',
  },
} as const

export const remoteOption = {
  remote: { type: 'string', default: 'origin', describe: 'the guarded remote' },
} as const

/** The key that the user names, or HEADGATE_KEY. */
export function requireKey(key: string | undefined): string {
  const file = key ?? process.env.HEADGATE_KEY
  if (file !== undefined && file !== '') return file
  throw new HeadgateError('usage', 'no key to sign with', {
    hint: 'name it with --key FILE or HEADGATE_KEY; headgate key generate makes one',
  })
}

/** Signs, sends, and returns when the statement is a durable record of the remote's ledger. */
export async function signAndSubmit(
  repository: ClientRepository,
  options: { remote: string; kind: SubmittedKind; namespace?: string; payload: string; key: string },
): Promise<void> {
  const namespace = options.namespace ?? NAMESPACES[options.kind][0] ?? ''
  const envelope = await signEnvelope({ payload: options.payload, namespace, keyFile: options.key })
  await repository.submit(options.remote, canonicalJson(envelope))
}
