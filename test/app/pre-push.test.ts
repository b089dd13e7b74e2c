import { expect, test } from 'vitest'
import { type InitEvent, init, removeHooks } from '../../src/app/init.ts'
import { prePush } from '../../src/app/pre-push.ts'
import { unproved } from '../beginnings.ts'
import { callerIn, guarded } from './caller.ts'

test('the verdict of the hook is a value: it passes, is refused with its reasons, or cannot be told', async () => {
  const repository = guarded({ prepare: unproved })
  const commit = repository.git('rev-parse', 'HEAD')
  const release = repository.ref('refs/heads/release') ?? ''
  const zero = '0'.repeat(40)
  const judge = (remote: string, ...lines: string[]) => {
    const text = lines.map((line) => `${line}\n`).join('')
    return prePush(callerIn(repository), { remote, url: remote, lines: Buffer.from(text) })
  }
  const topic = `refs/heads/topic ${commit} refs/heads/topic ${zero}`
  const move = `refs/heads/main ${commit} refs/heads/release ${release}`
  expect(await judge(repository.bare, topic)).toEqual({ kind: 'passes' })
  expect(await judge(repository.bare, move, topic)).toMatchObject({
    kind: 'refused',
    blamed: [{ ref: 'refs/heads/release', objections: [{ rule: 'evidence' }] }],
    others: ['refs/heads/topic'],
  })
  expect(await judge(`${repository.bare}-gone`, move)).toMatchObject({ kind: 'unclear' })
})

test('the hooks are put into a clone step by step, once, and taken out again', async () => {
  const repository = guarded({ prepare: unproved })
  const steps = async () => {
    const told: InitEvent[] = []
    await init(callerIn(repository), { policy: true }, (event) => told.push(event))
    return told
  }
  const first = await steps()
  expect(first.map(({ kind }) => kind)).toEqual([
    'policy-file',
    'policy-file',
    'policy-file',
    'hooks',
    'remotes',
  ])
  expect(first.at(-1)).toMatchObject({
    remotes: [{ name: 'origin', outcome: { kind: 'guarded', staging: 'main', release: 'release' } }],
  })
  const again = await steps()
  expect(again.filter((event) => event.kind === 'policy-file' && event.written)).toEqual([])
  expect(again.find(({ kind }) => kind === 'hooks')).toMatchObject({ changed: [] })
  expect((await removeHooks(callerIn(repository))).length).toBeGreaterThan(0)
  expect(await removeHooks(callerIn(repository))).toEqual([])
})
