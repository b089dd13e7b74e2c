/** Whether a commit may be deployed, as a value. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { deployCheck } from '../../src/app/deploy-check.ts'
import { parseStatement } from '../../src/core/statement.ts'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { callerIn, guarded } from './caller.ts'

test('the release, with its attestation; what was the release before is a finding', async () => {
  const repository = guarded({ prepare: releasedTwice })
  const [one = '', two = ''] = lastCommits(repository, 2)
  const ask = (commit: string) =>
    deployCheck(callerIn(repository), {
      commit,
      environment: 'production',
      remote: 'origin',
      attested: true,
      // Relative names are the caller's, wherever the process is.
      sealKey: join('..', 'app.git', 'headgate', 'seal-key.pub'),
      served: false,
    })
  const yes = await ask(two)
  expect(yes).toMatchObject({ commit: two, findings: [], remarks: [], seal: 'ok', move: { to: two } })
  const { payload } = JSON.parse(yes.attestation ?? '')
  expect(parseStatement(Buffer.from(payload, 'base64'))).toMatchObject({ kind: 'authorization', commit: two })
  const no = await ask(one)
  expect(no).toMatchObject({ move: null, seal: null, attestation: null })
  expect(no.findings).toHaveLength(1)
})
