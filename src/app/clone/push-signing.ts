/** How git in this clone would sign a push of its own accord. */
import type { ClientRepository } from './client-repository.ts'

export type PushSigning = {
  /** Whether it signs: always, or where the server asks for it, as every server with headgate does. */
  readonly signs: boolean
  /** What it signs with: only SSH is of use to headgate. */
  readonly format: 'ssh' | 'OpenPGP' | 'X.509'
}

export async function pushSigning(client: ClientRepository): Promise<PushSigning> {
  const value = async (name: string, otherwise: string) =>
    (await client.git('config', '--default', otherwise, '--get', name)).trim().toLowerCase()
  const format = await value('gpg.format', 'openpgp')
  return {
    signs: !/^(?:false|no|off|0|)$/.test(await value('push.gpgSign', 'false')),
    format: format === 'ssh' ? 'ssh' : format === 'x509' ? 'X.509' : 'OpenPGP',
  }
}

/** git signs by itself, and so that no certificate of it holds. */
export function signsInVain({ signs, format }: PushSigning): boolean {
  return signs && format !== 'ssh'
}
