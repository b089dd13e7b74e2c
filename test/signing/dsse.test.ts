import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { parseUniqueJson } from '../../src/core/unique-json.ts'
import { MAX_ENVELOPE_BYTES, parseEnvelope, payloadBytes, preAuthEncoding } from '../../src/signing/dsse.ts'

const payloadType = 'application/vnd.in-toto+json'
const good = { payloadType, payload: 'e30=', signatures: [{ keyid: 'SHA256:abc', sig: '+/8=' }] }

function parse(value: unknown) {
  return parseEnvelope(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))
}

describe('preAuthEncoding', () => {
  it('is the example of the DSSE specification', () => {
    const encoded = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'))
    expect(encoded.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world')
  })

  it('counts bytes, not characters', () => {
    expect(preAuthEncoding('ü', Buffer.from('é')).toString()).toBe('DSSEv1 2 ü 2 é')
  })
})

describe('parseEnvelope', () => {
  it('returns one form for white space, alphabet and padding', () => {
    const expected = good
    expect(parse(good)).toEqual(expected)
    expect(parse(JSON.stringify(good, null, '\t'))).toEqual(expected)
    expect(parse(`\r\n ${JSON.stringify(good)} \n`)).toEqual(expected)
    expect(parse({ ...good, payload: 'e30' })).toEqual(expected)
    expect(parse({ ...good, signatures: [{ keyid: 'SHA256:abc', sig: '-_8' }] })).toEqual(expected)
    expect(parse({ ...good, signatures: [{ keyid: 'SHA256:abc', sig: '-_8=' }] })).toEqual(expected)
    expect(
      parse(JSON.stringify(good).replaceAll('/', '\\/').replace('"payload"', '"\\u0070ayload"')),
    ).toEqual(expected)
    expect(payloadBytes(parse(good)).toString()).toBe('{}')
  })

  it('keeps a keyid that is there and adds none', () => {
    expect(parse({ ...good, signatures: [{ sig: '+/8=' }] }).signatures).toEqual([{ sig: '+/8=' }])
    expect(parse({ ...good, signatures: [{ keyid: '', sig: '+/8=' }] }).signatures).toEqual([
      { keyid: '', sig: '+/8=' },
    ])
  })

  it('accepts 16 signatures and 64 KiB', () => {
    const signatures = Array.from({ length: 16 }, () => ({ sig: 'AAAA' }))
    expect(parse({ ...good, signatures }).signatures).toHaveLength(16)
    expect(() => parse({ ...good, signatures: [...signatures, { sig: 'AAAA' }] })).toThrow(
      '1 to 16 signatures',
    )
    const text = JSON.stringify(good)
    expect(parse(text.padEnd(MAX_ENVELOPE_BYTES))).toEqual(good)
    expect(() => parse(text.padEnd(MAX_ENVELOPE_BYTES + 1))).toThrow('at most 65536 are accepted')
  })

  const text = JSON.stringify(good)
  it.each([
    ['nothing', ''],
    ['no JSON', 'hello'],
    ['a byte order mark', `\ufeff${text}`],
    ['two values', `${text}${text}`],
    ['null', 'null'],
    ['an array', '[]'],
    ['a number', '1'],
    ['an unknown key', { ...good, extra: 1 }],
    ['a prototype', `{"__proto__":{},${text.slice(1)}`],
    ['a key twice', `{"payload":"e30=",${text.slice(1)}`],
    ['a key twice, once escaped', `{"\\u0070ayload":"e30=",${text.slice(1)}`],
    ['a key twice in a signature', text.replace('"sig"', '"sig":"AAAA","sig"')],
    ['another payload type', { ...good, payloadType: 'application/json' }],
    ['a payload type in capitals', { ...good, payloadType: payloadType.toUpperCase() }],
    ['no payload', { payloadType, signatures: good.signatures }],
    ['an empty payload', { ...good, payload: '' }],
    ['a payload that is no string', { ...good, payload: ['e30='] }],
    ['no signatures', { ...good, signatures: [] }],
    ['signatures in an object', { ...good, signatures: { 0: { sig: 'AAAA' }, length: 1 } }],
    ['a signature that is a string', { ...good, signatures: ['AAAA'] }],
    ['a signature that is null', { ...good, signatures: [null] }],
    ['an empty signature', { ...good, signatures: [{ sig: '' }] }],
    ['an unknown key in a signature', { ...good, signatures: [{ sig: 'AAAA', cert: 'x' }] }],
    ['a keyid that is null', { ...good, signatures: [{ sig: 'AAAA', keyid: null }] }],
    ['a keyid that is long', { ...good, signatures: [{ sig: 'AAAA', keyid: 'x'.repeat(256) }] }],
    ['a keyid with an escape', { ...good, signatures: [{ sig: 'AAAA', keyid: '\u001b[2J' }] }],
    ['a keyid with half a character', { ...good, signatures: [{ sig: 'AAAA', keyid: '\ud800' }] }],
    ['white space in base64', { ...good, payload: 'e3 0=' }],
    ['a line end in base64', { ...good, payload: 'e30=\n' }],
    ['bits left over', { ...good, payload: 'e31=' }],
    ['bits left over without padding', { ...good, payload: 'e31' }],
    ['too much padding', { ...good, payload: 'e30==' }],
    ['only padding', { ...good, payload: '====' }],
    ['padding inside', { ...good, payload: 'e30=e30=' }],
    ['one character too many', { ...good, payload: 'e30ab' }],
    ['both alphabets', { ...good, payload: '+_8=' }],
    ['a character that is not base64', { ...good, payload: 'e3.=' }],
    ['deep nesting', '['.repeat(30000)],
  ])('refuses %s', (_, value) => {
    expect(() => parse(value)).toThrow(HeadgateError)
    expect(() => parse(value)).toThrow(expect.objectContaining({ code: 'data' }))
  })

  it('refuses bytes that are not UTF-8', () => {
    const bytes = Buffer.from(text)
    for (const bad of [0xff, 0xc0, 0x80]) {
      const broken = Buffer.from(bytes)
      broken[bytes.indexOf('abc')] = bad
      expect(() => parseEnvelope(broken)).toThrow('not JSON in UTF-8')
    }
  })

  it('takes no longer for padding without end', () => {
    const started = performance.now()
    expect(() => parse({ ...good, payload: `${'='.repeat(60000)}x` })).toThrow(HeadgateError)
    expect(performance.now() - started).toBeLessThan(1000)
  })

  it('throws nothing but its own error', () => {
    fc.assert(
      fc.property(fc.json(), fc.jsonValue(), fc.jsonValue(), (raw, payload, signatures) => {
        for (const value of [
          raw,
          { payloadType, payload, signatures },
          { ...good, signatures: [signatures] },
        ]) {
          try {
            parse(value)
          } catch (error) {
            expect(error).toBeInstanceOf(HeadgateError)
          }
        }
      }),
    )
  })
})

describe('parseUniqueJson', () => {
  it('is JSON.parse for what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        expect(parseUniqueJson(Buffer.from(text), 'it')).toEqual(JSON.parse(text))
      }),
    )
  })

  it('finds every repeated key, at any depth and however it is written', () => {
    fc.assert(
      fc.property(fc.string(), fc.jsonValue(), fc.jsonValue(), fc.nat(4), (key, first, second, depth) => {
        const escaped = Array.from(key, (_, i) => `\\u${key.charCodeAt(i).toString(16).padStart(4, '0')}`)
        const name = key.length === escaped.length ? `"${escaped.join('')}"` : JSON.stringify(key)
        const object = `{${JSON.stringify(key)}:${JSON.stringify(first)} , ${name} : ${JSON.stringify(second)}}`
        const text = `${'[{"a":'.repeat(depth)}${object}${'}]'.repeat(depth)}`
        expect(() => parseUniqueJson(Buffer.from(text), 'it')).toThrow('it has a key twice')
      }),
    )
  })

  it('does not mind equal keys of different objects, or equal values', () => {
    const text = '{"a":{"a":"a"},"b":[{"a":"a","b":":"},{"a":"{","b":"\\"a\\":"}]}'
    expect(parseUniqueJson(Buffer.from(text), 'it')).toEqual(JSON.parse(text))
  })
})
