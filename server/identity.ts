import { HeadgateError } from '../src/core/errors.ts'
import type { Certificate, Pusher } from '../src/core/facts.ts'
import { isOid } from '../src/core/oid.ts'
import type { RefUpdate } from '../src/git/hook-input.ts'
import type { GitRepository } from '../src/git/repository.ts'
import type { AllowedSigner } from '../src/signing/allowed-signers.ts'
import { judgeLogin, parseLogin } from '../src/signing/login.ts'
import {
  type PushCertificate,
  parsePushCertificate,
  verifyPushCertificate,
} from '../src/signing/push-certificate.ts'
import type { IdentitySource } from './settings.ts'

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
  | { readonly offered: true; readonly good: false; readonly reason: string }
  | {
      readonly offered: true
      readonly good: true
      readonly principal: string
      readonly text: string
      readonly certificate: PushCertificate
    }

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
    if (error instanceof HeadgateError) return bad(error.message)
    throw error
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
    text: object.body.toString('utf8'),
    certificate,
  }
}

/** The certificate as far as it speaks for one update: it must name exactly this change of exactly this ref. */
export function certificateFor(judged: JudgedCertificate, update: RefUpdate): Certificate {
  if (!judged.offered || !judged.good) return judged
  const covers = judged.certificate.updates.some(
    ({ from, to, ref }) => from === update.from && to === update.to && ref === update.ref,
  )
  if (!covers) return { offered: true, good: false, reason: `it does not cover the change of ${update.ref}` }
  return { offered: true, good: true, principal: judged.principal, text: judged.text }
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

function byCertificate(certificate: Certificate): Pusher {
  if (!certificate.offered) {
    return {
      identified: false,
      reason: 'the push is not signed (git push --signed), and this server knows pushers by their signature',
    }
  }
  if (!certificate.good)
    return { identified: false, reason: `the push certificate does not hold: ${certificate.reason}` }
  return { identified: true, principal: certificate.principal, source: 'push-cert' }
}

/** By the key that sshd says was used. Whoever can write files as this account can write that file, too. */
function byLogin({ value, login }: IdentityInput, signers: readonly AllowedSigner[], now: number): Pusher {
  const unknown = (reason: string): Pusher => ({ identified: false, reason })
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
      'the server admin puts a changed list in force:',
      '  headgate policy apply REPO.git DIR',
    ]
    return { identified: false, reason: judged.reason, fix }
  }
  return { identified: true, principal: judged.principal, source: 'ssh-auth-info' }
}

function byVariable(name: string, principal: string): Pusher {
  if (principal === '') return { identified: false, reason: `${name} is not set for this connection` }
  if (principal.length > MAX_PRINCIPAL_LENGTH || /[\p{Cc}\p{Cf}]/u.test(principal)) {
    return { identified: false, reason: `${name} holds no usable name` }
  }
  return { identified: true, principal, source: `env:${name}` }
}
