/**
 * Where a git host lets the hooks of others stand. Set at installation and kept in `headgate/server.json`.
 *
 *     plain     git itself runs hooks/NAME
 *     gitea     Gitea and Forgejo write hooks/pre-receive, hooks/update and hooks/post-receive themselves, anew on
 *               "resynchronize hooks"; these run everything in hooks/NAME.d. Other hooks are git's as ever.
 *     gitlab    Gitaly runs hooks of its own, and from them custom_hooks/NAME.d in order of names until one fails. It
 *               knows pre-receive, update and post-receive; reference-transaction is its own.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export const SERVER_HOOKS = ['pre-receive', 'reference-transaction', 'post-receive'] as const
export type ServerHook = (typeof SERVER_HOOKS)[number]

export const HOSTS = ['plain', 'gitea', 'gitlab'] as const
export type Host = (typeof HOSTS)[number]

/** The hook's path in the repository; null where the host runs no such hook for others. */
export function hookPlace(host: Host, hook: ServerHook): string | null {
  switch (host) {
    case 'plain':
      return `hooks/${hook}`
    case 'gitea':
      return hook === 'reference-transaction' ? `hooks/${hook}` : `hooks/${hook}.d/headgate`
    case 'gitlab':
      return hook === 'reference-transaction' ? null : `custom_hooks/${hook}.d/headgate`
  }
}

const MARK = 'put here by `headgate server install`'

export function isOurs(file: string): boolean {
  try {
    return readFileSync(file, 'latin1').includes(MARK)
  } catch {
    return false
  }
}

/**
 * Whether git asks us before a ref moves. Without that the guard has its weaker form: a move of the release branch by
 * anything but a push is found afterwards, as drift, and not refused.
 */
export function isAskedBeforeMoves(gitDirectory: string, host: Host): boolean {
  const place = hookPlace(host, 'reference-transaction')
  if (place === null) return false
  const file = join(gitDirectory, place)
  // git runs no hook that is not executable.
  return isOurs(file) && ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o111) !== 0
}

/** Whether git itself runs the hooks of the repository's own folder there. */
export function runsOwnHooks(host: Host): boolean {
  return host !== 'gitlab'
}

/** A host that would put hooks out of use that stand where git alone looks for them; null if there is no sign of one. */
export function hostBySigns(gitDirectory: string): Exclude<Host, 'plain'> | null {
  // Forgejo, too, names it so.
  if (existsSync(join(gitDirectory, 'hooks', 'pre-receive.d', 'gitea'))) return 'gitea'
  // Gitaly keeps repositories below @hashed, named by the SHA-256 of the project's number.
  if (/\/@hashed\/[0-9a-f]{2}\/[0-9a-f]{2}\/[0-9a-f]{64}\.git\/?$/.test(gitDirectory)) return 'gitlab'
  return null
}
