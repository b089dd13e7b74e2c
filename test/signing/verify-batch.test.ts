/** Signatures in batches are as good or bad as one by one, on this thread and on others. */
import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { createSshsig, type ParsedSignature, parseSshsig, verifySshsig } from '../../src/signing/sshsig.ts'
import { type Signed, verifyBatch } from '../../src/signing/verify-batch.ts'

const KEYS = Array.from({ length: 5 }, () => generateKeyPairSync('ed25519').privateKey)

/** Every third one is over another message than it says. */
function signed(count: number): Signed[] {
  return Array.from({ length: count }, (_, index) => {
    const message = Buffer.from(`message ${index} `.repeat((index % 7) + 1))
    const signature = parseSshsig(
      createSshsig({ privateKey: KEYS[index % KEYS.length]!, namespace: 'test', message }),
    )
    return { signature, message: index % 3 === 0 ? Buffer.concat([message, Buffer.from('x')]) : message }
  })
}

test.each([0, 1, 20, 1000, 3001])('a batch of %i', async (count) => {
  const batch = signed(count)
  const isGenuine = await verifyBatch(batch)
  expect(batch.map(({ signature, message }) => isGenuine(signature, message))).toEqual(
    batch.map((_, index) => index % 3 !== 0),
  )
})

test("batches at the same time do not get each other's answers", async () => {
  const batches = [signed(700), signed(600).toReversed(), signed(10), signed(900)]
  const answers = await Promise.all(batches.map((batch) => verifyBatch(batch)))
  for (const [index, isGenuine] of answers.entries())
    for (const { signature, message } of batches[index]!)
      expect(isGenuine(signature, message)).toBe(verifySshsig(signature, message))
})

test('a signature that was not in the batch is checked when it is asked about', async () => {
  const batch = signed(300)
  const isGenuine = await verifyBatch(batch)
  const [bad, good] = signed(2) as [Signed, Signed]
  expect(isGenuine(good.signature, good.message)).toBe(true)
  expect(isGenuine(bad.signature, bad.message)).toBe(false)
})

test('what OpenSSL throws at is a no, on every thread', async () => {
  const [, good] = signed(2) as [Signed, Signed]
  // Numbers beyond the curve's order cannot come from the parser; this is what OpenSSL itself must bear.
  const odd: ParsedSignature = {
    ...good.signature,
    signature: { ...good.signature.signature, hash: 'sha512' },
  }
  const batch = Array.from({ length: 400 }, () => ({ ...good, signature: { ...odd } }))
  const isGenuine = await verifyBatch(batch)
  expect(batch.some(({ signature, message }) => isGenuine(signature, message))).toBe(false)
})
