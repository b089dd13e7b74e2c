/** What an admin names as the source of pushers' names, before it is believed. */
import { HeadgateError } from '../../src/core/errors.ts'
import { parseIdentitySource } from '../settings.ts'

/** Set by the hosts of docs/operations.md, or by the login itself. */
const KNOWN = [
  ...['USER', 'LOGNAME', 'REMOTE_USER', 'GL_USER', 'GL_USERNAME', 'GITEA_PUSHER_NAME', 'GITHUB_USER_LOGIN'],
  ...['BB_USER_NAME', 'HEADGATE_USER'],
]

/** Variables that are there and hold something else than who pushes. */
const NOBODY =
  /^(?:HOME|PATH|PWD|OLDPWD|SHELL|SHLVL|LANG|LANGUAGE|TERM|MAIL|TZ|TMPDIR|HOSTNAME|HOST|EDITOR|PAGER|DISPLAY|_|LC_.*|SSH_(?!USER$).*|REMOTE_(?:ADDR|PORT|HOST)|REQUEST_.*|SERVER_.*|QUERY_STRING|GATEWAY_INTERFACE|GIT_.*|NODE_.*|GL_REPO(?:SITORY)?|GL_PROTOCOL|GL_ID)$/

export function namesNobody(variable: string): boolean {
  return NOBODY.test(variable)
}

/** Throws HeadgateError 'usage' where it is no source, or one that could name nobody. */
export function requireUsableSource(identity: string): void {
  const source = parseIdentitySource(identity)
  if (source.kind !== 'env' || !namesNobody(source.name)) return
  throw new HeadgateError('usage', `${source.name} does not say who pushes`, {
    hint: 'name the variable that holds the name: env:REMOTE_USER for smart HTTP, env:USER for separate accounts',
  })
}

/** What the admin should look at again; empty where nothing is unusual. */
export function sourceRemarks(identity: string): string[] {
  const source = parseIdentitySource(identity)
  if (source.kind !== 'env') return []
  const { name } = source
  if (name.startsWith('HTTP_'))
    return [
      `${name} is a header of the request: anybody can push in any name, unless a proxy in front always sets it`,
    ]
  if (KNOWN.includes(name)) return []
  return [`no host sets ${name} by itself: where your sshd or web server does not either, nobody can promote`]
}
