import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, sha256 } from '../../src/core/canonical-json.ts'
import { MAX_RECORD_BYTES, parseRecord, sealedBytes, sealRecord } from '../../src/ledger/record.ts'
import { evidence, invalidation, oidOf } from './records.ts'

const a = oidOf('a')
const ZERO_HASH = '0'.repeat(64)
const fields = { seq: 1, previous: ZERO_HASH, ...evidence(a) }
const fakeSeal = () => 'c2VhbA=='
const good = sealRecord(fields, fakeSeal).bytes

describe('a record', () => {
  test('is canonical JSON, and its hash is that of its bytes', () => {
    const { bytes, hash } = sealRecord(fields, fakeSeal)
    expect(Object.keys(JSON.parse(bytes.toString()))).toEqual([
      'at',
      'by',
      'envelope',
      'previous',
      'seal',
      'seq',
    ])
    expect(hash).toBe(sha256(bytes))
    expect(parseRecord(bytes)).toMatchObject({
      ...fields,
      hash,
      seal: 'c2VhbA==',
      statement: { kind: 'evidence', commit: a },
    })
  })

  test('is sealed over the record without its seal', () => {
    let sealed: Uint8Array = new Uint8Array()
    const { bytes } = sealRecord(fields, (toSeal) => {
      sealed = toSeal
      return 'c2VhbA=='
    })
    const { seal: _, ...rest } = JSON.parse(bytes.toString())
    expect(JSON.parse(Buffer.from(sealed).toString())).toEqual(rest)
    expect(sealedBytes(parseRecord(bytes))).toEqual(sealed)
  })

  test('has base64 in one form, or the same signature would make two records', () => {
    const { envelope } = invalidation(a, '>>>???~~~\u00ff')
    const record = JSON.parse(sealRecord({ ...fields, envelope }, () => 'c2VhbA==').bytes.toString())
    const bare = (text: string) => text.replace(/=+$/, '')
    const urlSafe = (text: string) => text.replaceAll('+', '-').replaceAll('/', '_')
    const spellings = [
      { ...record, seal: bare(record.seal) },
      { ...record, seal: 'c2VhbA=' },
      { ...record, seal: 'c2VhbB==' },
      { ...record, envelope: { ...envelope, payload: urlSafe(envelope.payload) } },
      { ...record, envelope: { ...envelope, payload: `${envelope.payload}=` } },
      { ...record, envelope: { ...envelope, signatures: [{ sig: 'AAA' }] } },
    ]
    expect(parseRecord(Buffer.from(canonicalJson(record))).seal).toBe('c2VhbA==')
    for (const spelling of spellings)
      expect(() => parseRecord(Buffer.from(canonicalJson(spelling))), JSON.stringify(spelling)).toThrow(
        'must be standard base64 with padding',
      )
  })

  test('holds any text that JSON can hold, and reads back as it was written', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }),
        (by, seq, at) => {
          fc.pre(by.length <= 256)
          const record = { ...fields, by, seq, at: at.toISOString() }
          const { bytes, hash } = sealRecord(record, fakeSeal)
          expect(parseRecord(bytes)).toMatchObject({ ...record, hash })
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('parsing refuses', () => {
  const text = good.toString()
  test.each<[string, string | Buffer]>([
    ['nothing', ''],
    ['what is not JSON', 'seq: 1'],
    ['a list', '[]'],
    ['null', 'null'],
    ['bytes that are not UTF-8', Buffer.concat([good.subarray(0, -1), Buffer.from([0xff, 0x7d])])],
    ['a byte order mark', `\ufeff${text}`],
    ['white space', text.replace('{', '{ ')],
    ['a line break at the end', `${text}\n`],
    ['another order', text.replace(/^\{("at":"[^"]*"),("by":"[^"]*"),/, '{$2,$1,')],
    ['a needless escape', text.replace('ci@', '\\u0063i@')],
    ['a repeated key', text.replace('{"at"', '{"at":"","at"')],
    ['a field too many', text.replace('{"at"', '{"aa":1,"at"')],
    ['a field too many in the envelope', text.replace('"payload":', '"more":1,"payload":')],
    ['a prototype', text.replace('{"at"', '{"__proto__":{},"at"')],
    ['a missing seal', text.replace(/"seal":"[^"]*",/, '')],
    ['number 0', text.replace('"seq":1', '"seq":0')],
    ['a negative number', text.replace('"seq":1', '"seq":-1')],
    ['a fraction', text.replace('"seq":1', '"seq":1.5')],
    ['a number that JSON cannot keep', text.replace('"seq":1', '"seq":9007199254740993')],
    ['another notation of a number', text.replace('"seq":1', '"seq":1e0')],
    ['a previous hash in capitals', text.replace(ZERO_HASH, 'A'.repeat(64))],
    ['a short previous hash', text.replace(ZERO_HASH, '0'.repeat(40))],
    ['another payload type', text.replace('vnd.in-toto+json', 'vnd.in-toto+yaml')],
    ['base64 with spare bits', text.replace(/"payload":"[^"]*"/, '"payload":"eyJ="')],
    ['too much', Buffer.alloc(MAX_RECORD_BYTES + 1, 0x20)],
  ])('%s', (_, bytes) => {
    expect(() => parseRecord(Buffer.from(bytes as string))).toThrow(
      expect.objectContaining({ name: 'HeadgateError', code: 'data' }),
    )
  })

  test('any change of a single byte, or yields another record', () => {
    const original = parseRecord(good)
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (position, mask) => {
        const changed = Buffer.from(good)
        changed[position] = changed[position]! ^ mask
        try {
          expect(parseRecord(changed).hash).not.toBe(original.hash)
        } catch (error) {
          expect(error).toMatchObject({ name: 'HeadgateError', code: 'data' })
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a seal that is not base64', () => {
    expect(() => sealRecord(fields, () => '-----BEGIN SSH SIGNATURE-----')).toThrow(/seal/)
  })
})
