import { HeadgateError } from '../../src/core/errors.ts'
import type { Certificate, Pusher } from '../../src/core/facts.ts'
import { isOid } from '../../src/core/oid.ts'
import type { RefUpdate } from '../../src/git/hook-input.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import type { AllowedSigner } from '../../src/signing/allowed-signers.ts'
import { judgeLogin, parseLogin } from '../../src/signing/login.ts'
import {
  otherFormat,
  type PushCertificate,
  parsePushCertificate,
  verifyPushCertificate,
} from '../../src/signing/push-certificate.ts'
import type { IdentitySource } from '../settings.ts'

/** What receive-pack and the host told the hook about who pushes. Any of it may be forged but the configured variable. */
export type IdentityInput = {
  /** The value of the variable that the installation names; empty where it is not set. */
  readonly value: string
  /** The lines of the file that SSH_USER_AUTH names, where the installation reads it. */
  readonly login: readonly string[]
  readonly certificate: { readonly blob: string; readonly nonceStatus: string }
}

const MAX_PRINCIPAL_LENGTH = 200
const MAX_CERTIFICATE_BYTES = 1024 * 1024
/** How old a signed nonce may be: a push takes minutes at most. */
const MAX_NONCE_AGE_MS = 15 * 60_000

/** A push's certificate, its signature judged once; which updates it covers is asked for each update. */
export type JudgedCertificate =
  | { readonly offered: false }
  | Extract<Certificate, { good: false }>
  | (Extract<Certificate, { good: true }> & { readonly certificate: PushCertificate })

/**
 * Verifies the certificate blob itself. The variables beside it do not tell who signed: a pusher who shares the server's
 * account can set them, and git says "good" of a signature by a key that nobody trusts.
 */
export async function judgeCertificate(
  repository: GitRepository,
  input: IdentityInput,
  signers: readonly AllowedSigner[],
  now: number,
): Promise<JudgedCertificate> {
  const { blob, nonceStatus } = input.certificate
  if (blob === '') return { offered: false }
  const bad = (reason: string): JudgedCertificate => ({ offered: true, good: false, reason })
  if (!isOid(blob)) return bad('its object id is malformed')
  const object = await repository.objects().read(blob, MAX_CERTIFICATE_BYTES)
  if (object === null || object.type !== 'blob') return bad('its object is missing')
  let certificate: PushCertificate
  try {
    certificate = parsePushCertificate(object.body)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    const format = otherFormat(object.body)
    if (format === null) return bad(error.message)
    const reason = `it is signed with ${format}, and headgate verifies SSH signatures alone`
    return { offered: true, good: false, reason, format }
  }
  if (nonceStatus !== 'OK' && nonceStatus !== 'SLOP')
    return bad('its nonce is not one that this server gave out for this push')
  const stamp = Number(/^(\d{1,12})-/.exec(certificate.nonce ?? '')?.[1] ?? Number.NaN) * 1000
  if (!(Math.abs(now - stamp) <= MAX_NONCE_AGE_MS)) return bad('its nonce is too old')
  const trust = verifyPushCertificate(certificate, signers, now)
  if (trust.verdict !== 'trusted') return bad(trust.reason)
  return {
    offered: true,
    good: true,
    principal: trust.principal,
    fingerprint: trust.fingerprint,
    text: object.body.toString('utf8'),
    certificate,
  }
}

/** The certificate without what only the server has to look at. */
export function goodCertificate(judged: Extract<JudgedCertificate, { good: true }>): Certificate {
  const { principal, fingerprint, text } = judged
  return { offered: true, good: true, principal, fingerprint, text }
}

/** The certificate as far as it speaks for one update: it must name exactly this change of exactly this ref. */
export function certificateFor(judged: JudgedCertificate, update: RefUpdate): Certificate {
  if (!judged.offered || !judged.good) return judged
  const covers = judged.certificate.updates.some(
    ({ from, to, ref }) => from === update.from && to === update.to && ref === update.ref,
  )
  if (!covers) return { offered: true, good: false, reason: `it does not cover the change of ${update.ref}` }
  return goodCertificate(judged)
}

/** `signers` are those in force; `now` in ms since the epoch. */
export function identifyPusher(
  source: IdentitySource,
  input: IdentityInput,
  certificate: Certificate,
  signers: readonly AllowedSigner[],
  now: number,
): Pusher {
  switch (source.kind) {
    case 'push-cert':
      return byCertificate(certificate)
    case 'ssh-auth-info':
      return byLogin(input, signers, now)
    case 'env':
      return byVariable(source.name, input.value)
  }
}

const SIGN = [
  'sign with a key that allowed_signers lists as yours for namespace git. git',
  'signs pushes with SSH keys once it has three settings:',
  '  git config gpg.format ssh',
  '  git config user.signingKey FILE.pub',
  '  git config push.gpgSign if-asked',
  'then push again. What the admin puts into allowed_signers for a key:',
  '  headgate key line FILE.pub --for push --principal NAME',
]

function byCertificate(certificate: Certificate): Pusher {
  if (!certificate.offered) {
    return {
      identified: false,
      reason: 'the push is not signed (git push --signed), and this server knows pushers by their signature',
      fix: SIGN,
    }
  }
  if (!certificate.good)
    return {
      identified: false,
      reason: `the push certificate does not hold: ${certificate.reason}`,
      fix: SIGN,
    }
  return { identified: true, principal: certificate.principal, source: 'push-cert' }
}

const EXPOSE = [
  'push over ssh. The server admin lets sshd tell which key logged in: in',
  'sshd_config, for all or for the account that serves git, then reload sshd:',
  '  ExposeAuthInfo yes',
]

/** By the key that sshd says was used. A process that can write files as this account can write that file, too. */
function byLogin({ value, login }: IdentityInput, signers: readonly AllowedSigner[], now: number): Pusher {
  const unknown = (reason: string): Pusher => ({ identified: false, reason, fix: EXPOSE })
  if (value === '') {
    return unknown(
      'SSH_USER_AUTH is not set for this connection; it is where sshd has ExposeAuthInfo yes, and only there',
    )
  }
  if (login.length === 0)
    return unknown('the file that SSH_USER_AUTH names is not a readable file of this account')
  let judged: ReturnType<typeof judgeLogin>
  try {
    judged = judgeLogin(parseLogin(login), signers, now)
  } catch (error) {
    if (error instanceof HeadgateError) return unknown(error.message)
    throw error
  }
  if ('reason' in judged) {
    const fix = [
      'log in with a key that allowed_signers lists as yours for namespace git;',
      'the line for a key, and how the server admin puts it in force:',
      '  headgate key line FILE.pub --for push --principal NAME',
      '  headgate policy apply REPO.git DIR',
    ]
    return { identified: false, reason: judged.reason, fix }
  }
  return { identified: true, principal: judged.principal, source: 'ssh-auth-info' }
}

/** Who sets a variable, and what a pusher can do about it. */
const SETTERS: Readonly<Record<string, readonly string[]>> = {
  REMOTE_USER: [
    'push over HTTP as yourself. The server admin lets the web server ask who',
    'pushes (Apache: AuthType and Require valid-user; nginx: auth_basic, and',
    'fastcgi_param REMOTE_USER $remote_user)',
  ],
  USER: ['push over ssh, with an account of your own on the server'],
  LOGNAME: ['push over ssh, with an account of your own on the server'],
  GL_USER: ['push over ssh by way of Gitolite, which names you by your key'],
  GL_USERNAME: ['push by the address that GitLab shows for the project'],
  GITEA_PUSHER_NAME: ['push by the address that Gitea or Forgejo shows for the repository'],
}

/** sshd sets a variable by the key. */
function bySshd(name: string): readonly string[] {
  return [
    `push over ssh with a key of yours. The server admin gives each key a name: in`,
    `authorized_keys, with PermitUserEnvironment ${name} in sshd_config:`,
    `  environment="${name}=NAME" ssh-ed25519 ...`,
  ]
}

function byVariable(name: string, principal: string): Pusher {
  if (principal === '') {
    const fix = [
      ...(Object.hasOwn(SETTERS, name) ? (SETTERS[name] ?? []) : bySshd(name)),
      'or names come from elsewhere: headgate server install REPO.git --identity SOURCE',
    ]
    return { identified: false, reason: `${name} is not set for this connection`, fix }
  }
  if (principal.length > MAX_PRINCIPAL_LENGTH || /[\p{Cc}\p{Cf}]/u.test(principal)) {
    return { identified: false, reason: `${name} holds no usable name` }
  }
  return { identified: true, principal, source: `env:${name}` }
}
