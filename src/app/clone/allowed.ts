/**
 * What this machine allows of what a policy only names: variables that may leave it, and hosts that may be looked at. Asked
 * of git's protected configuration (of the system, of the user, of the command line), since everything else of a
 * repository, its own configuration among it, may have come with it.
 */
import { HeadgateError } from '../../core/errors.ts'
import type { Policy } from '../../core/policy/policy.ts'
import { parsePolicy } from '../../core/policy/policy-yaml.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { readTreeText } from '../../git/tree-file.ts'
import type { ClientRepository } from './client-repository.ts'

const PROTECTED: readonly string[] = ['system', 'global', 'command']
const POLICY = '.headgate/policy.yaml'

/** The names of the variables that `headgate.allowEnv` lists, one a value. */
export function allowedVariables(client: ClientRepository): Promise<string[]> {
  return protectedValues(client, 'headgate.allowenv')
}

/** Null where a look may go to a URL; else why it does not, and what allows it. */
export type HostCheck = (url: string) => { readonly reason: string; readonly hint: string } | null

/**
 * The hosts that the policies of this tree name, the committed one and the one that is checked out, and those of
 * `headgate.allowHost`. What a remote says of itself does not count: its ledger may name any host.
 */
export async function namedHosts(client: ClientRepository): Promise<HostCheck> {
  const [committed, checkedOut, configured] = await Promise.all([
    committedPolicy(client),
    checkedOutPolicy(client),
    protectedValues(client, 'headgate.allowhost'),
  ])
  const urls = [committed, checkedOut].flatMap((text) => (text === null ? [] : urlsIn(text)))
  const origins = new Set([...urls, ...configured].flatMap((url) => originOf(url) ?? []))
  return (url) => {
    const origin = originOf(url)
    if (origin !== null && origins.has(origin)) return null
    const host = origin ?? printable(url, 200)
    return {
      reason: `not asked: only the remote's ledger names ${host}`,
      hint: `if it may be asked: git config --global --add headgate.allowHost ${shellWord(host)}`,
    }
  }
}

async function protectedValues(client: ClientRepository, key: string): Promise<string[]> {
  const fields = (await client.git('config', '--list', '--show-scope', '-z')).split('\0')
  const values: string[] = []
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const [scope = '', setting = ''] = fields.slice(index, index + 2)
    if (PROTECTED.includes(scope) && setting.startsWith(`${key}\n`))
      values.push(setting.slice(key.length + 1))
  }
  return values
}

async function committedPolicy(client: ClientRepository): Promise<string | null> {
  try {
    return await client.git('cat-file', 'blob', `HEAD:${POLICY}`)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return null
  }
}

async function checkedOutPolicy(client: ClientRepository): Promise<string | null> {
  const top = await client.topLevel()
  if (top === null) return null
  try {
    return readTreeText(top, POLICY)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return null
  }
}

/** None where the text is no policy. */
function urlsIn(text: string): string[] {
  let policy: Policy
  try {
    policy = parsePolicy(text)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return []
  }
  const { staging, production } = policy.environments
  return [...staging.urls, ...(production?.urls ?? [])]
}

function originOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).origin : null
}
