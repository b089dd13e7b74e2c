/** What the server would say of a push, as a value. */
import { expect, test } from 'vitest'
import { check } from '../../src/app/check.ts'
import { lastCommits, provedAndAhead } from '../beginnings.ts'
import { callerIn, guarded } from './caller.ts'

test('what is proved may be released, what is not is refused by one rule, and the rest is nobody to judge', async () => {
  const repository = guarded({ prepare: provedAndAhead })
  const [one = '', two = '', three = ''] = lastCommits(repository, 3)
  const ask = (commit: string, to?: string) =>
    check(callerIn(repository), { commit, remote: 'origin', to, as: undefined })

  const yes = await ask(two)
  expect(yes).toMatchObject({
    kind: 'judged',
    push: { ref: 'refs/heads/release', commit: two, current: one },
    foresight: { answer: 'yes', pushers: ['alice', 'bob'] },
    enforced: true,
    signsInVain: null,
  })
  const no = await ask('main')
  if (no.kind !== 'judged') throw new Error(no.kind)
  expect(no.push.commit).toBe(three)
  const refused = no.rules.filter(({ verdict }) => verdict !== 'passed')
  expect(refused.map(({ rule, verdict }) => [rule, verdict])).toEqual([['evidence', 'refused']])
  expect(refused[0]?.found.join()).toContain('there is no staging evidence')

  expect(await ask(one)).toMatchObject({ kind: 'up-to-date' })
  expect(await ask(three, 'topic')).toMatchObject({ kind: 'unguarded', push: { ref: 'refs/heads/topic' } })
  await expect(ask(three, 'refs/headgate/ledger')).rejects.toMatchObject({ code: 'refused' })
  await expect(ask('nonsense')).rejects.toMatchObject({ code: 'usage' })
})
