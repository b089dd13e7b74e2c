import type { ReleaseRule } from '../decide.ts'
import { FORESEEN_SOURCE } from '../facts.ts'
import { movesTo } from '../history.ts'
import { printable } from '../printable.ts'
import { signedText } from '../single-use.ts'
import { promotionOptions } from './promotion-options.ts'

/** Only an identified operator moves the release branch. */
export const operatorRule: ReleaseRule = ({ facts, policy, history, kind, request }) => {
  const { pusher, certificate } = facts
  const { operators, signedPush } = policy.promotion
  const list = operators.map((name) => printable(name, 80)).join(', ')
  const fix = [`one of the operators pushes it: ${list}`]
  if (!pusher.identified) {
    return [
      {
        rule: 'operator',
        found: [`the server cannot tell who pushes: ${printable(pusher.reason)}`],
        fix: pusher.fix ?? [
          'connect in a way that names you; or the server admin sets where names come from:',
          '  headgate server install REPO.git --identity SOURCE',
        ],
      },
    ]
  }
  const who = printable(pusher.principal, 80)
  if (!operators.includes(pusher.principal)) {
    return [{ rule: 'operator', found: [`${who} is not an operator of ${policy.release}`], fix }]
  }
  if (policy.guard === 'relay') {
    // The request is signed, so that no push need be.
    if (request !== null || pusher.source === FORESEEN_SOURCE) return []
    const found = [`no request of ${who} that may still be used asks for exactly this move`]
    return [{ rule: 'operator', found, fix: ['ask again: headgate promote, or headgate rollback'] }]
  }
  const options = kind === 'promotion' ? promotionOptions(policy) : ''
  const signed = [
    'sign the push with your own key:',
    `  git push --signed ${options}origin COMMIT:${facts.ref}`,
  ]
  if (certificate.offered && certificate.good) {
    // A certificate is kept in the record for all to read, so that one that was used tells nothing of who pushes now.
    const { text } = certificate
    const used = movesTo(history.about, facts.ref, facts.to).find(({ authorization }) => {
      const { pushCertificate } = authorization.statement.predicate['urn:headgate:move']
      return typeof pushCertificate === 'string' && signedText(pushCertificate) === signedText(text)
    })
    if (used !== undefined) {
      const found = [`the push certificate has been used before (record ${used.authorization.seq})`]
      return [{ rule: 'operator', found, fix: signed }]
    }
  }
  if (signedPush === 'ignore') return []
  if (!certificate.offered) {
    if (signedPush === 'if-offered') return []
    return [
      {
        rule: 'operator',
        found: ['the push is not signed, and the policy says promotion.signedPush: required'],
        fix: signed,
      },
    ]
  }
  if (!certificate.good) {
    const found = [`the push certificate does not hold: ${printable(certificate.reason)}`]
    const withKey =
      certificate.format === undefined
        ? signed
        : [
            `let git sign with an SSH key that allowed_signers lists, not with ${certificate.format}:`,
            '  git config gpg.format ssh',
            '  git config user.signingKey FILE.pub',
          ]
    const without = [
      'or push without a signature, which the policy allows:',
      `  git push --no-signed ${options}origin COMMIT:${facts.ref}`,
    ]
    const fix = signedPush === 'required' ? withKey : [...withKey, ...without]
    return [{ rule: 'operator', found, fix }]
  }
  if (certificate.principal !== pusher.principal) {
    const signer = printable(certificate.principal, 80)
    return [
      { rule: 'operator', found: [`${who} pushes, but ${signer} signed the push certificate`], fix: signed },
    ]
  }
  return []
}
