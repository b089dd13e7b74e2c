/** Who has a turn when many come at once, and one of them hangs. */
import { expect, test } from 'vitest'
import { Slots } from '../../server/service/slots.ts'
import { HeadgateError } from '../../src/core/errors.ts'

const PATIENT = { patienceMs: 600_000, standstillMs: 600_000 }

/** Work that ends when it is told to, and says when it began. */
class Work {
  begun = 0
  readonly #ends: (() => void)[] = []

  readonly do = () => {
    this.begun += 1
    return new Promise<void>((resolve) => this.#ends.push(resolve))
  }

  async end(): Promise<void> {
    this.#ends.shift()?.()
    await settled()
  }
}

/** Everything that could go on has gone on. */
const settled = () => new Promise((done) => setImmediate(done))

test('no more are at work than there are slots, and no more of one key than its share', async () => {
  const slots = new Slots({ total: 3, each: 2, ...PATIENT })
  const [a, b] = [new Work(), new Work()]
  const all = [
    ...Array.from({ length: 4 }, () => slots.use('a', a.do)),
    ...Array.from({ length: 3 }, () => slots.use('b', b.do)),
  ]
  await settled()
  expect([a.begun, b.begun]).toEqual([2, 1])
  await a.end()
  // First come, first served: the third of a was before the second of b.
  expect([a.begun, b.begun]).toEqual([3, 1])
  await b.end()
  expect([a.begun, b.begun]).toEqual([3, 2])
  for (let i = 0; i < 4; i++) {
    await a.end()
    await b.end()
  }
  await Promise.all(all)
  expect([a.begun, b.begun]).toEqual([4, 3])
})

test('a slot is given back by work that fails', async () => {
  const slots = new Slots({ total: 1, each: 1, ...PATIENT })
  const failing = slots.use('a', () => Promise.reject(new Error('failed')))
  const next = slots.use('b', async () => 'done')
  await expect(failing).rejects.toThrow('failed')
  await expect(next).resolves.toBe('done')
})

test('who waits while all others hang is turned away, and takes no slot afterwards', async () => {
  const slots = new Slots({ total: 1, each: 1, patienceMs: 600_000, standstillMs: 20 })
  const hanging = new Work()
  const first = slots.use('a', hanging.do)
  await expect(slots.use('b', async () => 'done')).rejects.toThrow('the service is busy with others')
  await hanging.end()
  await first
  await expect(slots.use('b', async () => 'done')).resolves.toBe('done')
})

test('who waits and who comes is told why where it closes, and who is at work ends', async () => {
  const slots = new Slots({ total: 1, each: 1, ...PATIENT })
  const work = new Work()
  const first = slots.use('a', work.do)
  const waiting = slots.use('a', work.do)
  const told = expect(waiting).rejects.toThrow('it stops')
  slots.close(new HeadgateError('unavailable', 'it stops'))
  await told
  await expect(slots.use('b', work.do)).rejects.toThrow('it stops')
  await work.end()
  await first
  expect(work.begun).toBe(1)
})
