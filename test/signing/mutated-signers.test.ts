/** Lines of allowed_signers that are almost right, against ssh-keygen: what is accepted here must mean the same there. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAllowedSigners, verifyBy } from '../../src/signing/allowed-signers.ts'
import { armor, parseSshsig } from '../../src/signing/sshsig.ts'
import { Workshop } from './ssh-keygen.ts'

const message = Buffer.from('deploy 3f2c1ab\n')
const noon = Date.UTC(2026, 5, 15, 12)
const NOON = '20260615120000Z'

let workshop: Workshop
let lines: string[]
let blobs: Buffer[]

beforeAll(() => {
  workshop = new Workshop()
  const [alice, ca] = [workshop.key(), workshop.key()]
  const certificate = workshop.certificate(ca, alice, '-n', 'alice@example.com,alice,a b')
  blobs = [alice.file, `${certificate.file}.pub`].map((file) => workshop.signBlob(file, 'git', message))
  lines = [
    `alice ${alice.line}`,
    `alice,bob namespaces="git,file",valid-after="20260101Z" ${alice.line} c`,
    `"alice,x y" valid-before="20270101Z" ${alice.line}`,
    `alice valid-after="202606151200",valid-before="20260615120000Z" ${alice.line}`,
    `*@example.com,alice cert-authority,namespaces="g*" ${ca.line}`,
    `al* cert-authority,valid-before="203001010000" ${ca.line} comment`,
  ]
})
afterAll(() => workshop.close())

const character = fc.constantFrom(
  ...['', '"', ',', '!', '*', '?', '=', ' ', '\t', '\\', '#', "'", '\0', '\r', '\v', '\f', '\n', '-', '\x7f'],
  ...['\u00a0', 'é', 'a', 'Z', '0', '  ', ',,', ' #'],
)
/** Before the key's base64, and a little into it. */
const edit = fc.record({ at: fc.nat(300), removed: fc.nat(2), inserted: character })
const mutation = fc.record({
  line: fc.nat(5),
  edits: fc.array(edit, { minLength: 1, maxLength: 3 }),
  signature: fc.nat(1),
})

test('a mutated line is a problem, or trusts exactly what ssh-keygen verifies', () => {
  let accepted = 0
  fc.assert(
    fc.property(mutation, ({ line, edits, signature }) => {
      let text = lines[line] ?? ''
      const until = text.indexOf('AAAA') + 4
      for (const { at, removed, inserted } of edits) {
        const place = at % until
        text = text.slice(0, place) + inserted + text.slice(place + removed)
      }
      const { signers, problems } = parseAllowedSigners(`${text}\n`)
      // Most are problems; ssh-keygen is slow, and what is left says enough.
      if (problems.length > 0 || signers.length === 0 || accepted >= 100) return
      accepted += 1
      const blob = blobs[signature] ?? Buffer.alloc(0)
      const trust = verifyBy(signers, { signature: parseSshsig(blob), message, namespace: 'git', at: noon })
      const principal = trust.verdict === 'trusted' ? trust.principal : 'alice'
      const asked = {
        allowed: `${text}\n`,
        principal,
        namespace: 'git',
        armor: armor(blob),
        message,
        time: NOON,
      }
      expect(workshop.verifies(asked), JSON.stringify(text)).toBe(trust.verdict === 'trusted')
    }),
    { numRuns: 3000 },
  )
  expect(accepted).toBe(100)
})
