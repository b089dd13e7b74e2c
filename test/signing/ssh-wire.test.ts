import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { WireReader, wireMpint, wireString, wireUint32 } from '../../src/signing/ssh-wire.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))

describe('SSH wire encoding', () => {
  it('reads back what was written', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 8 }), fc.nat(0xffffffff), (strings, number) => {
        const reader = new WireReader(Buffer.concat([wireUint32(number), ...strings.map(wireString)]))
        expect(reader.uint32()).toBe(number)
        for (const string of strings) expect(reader.string().equals(string)).toBe(true)
        reader.end()
      }),
    )
  })

  it('throws nothing but its own error, and never reads beyond the end', () => {
    const steps = ['byte', 'uint32', 'uint64', 'string', 'text', 'mpint', 'end'] as const
    fc.assert(
      fc.property(bytes, fc.array(fc.constantFrom(...steps), { maxLength: 12 }), (input, calls) => {
        const reader = new WireReader(input)
        try {
          for (const call of calls) reader[call]()
        } catch (error) {
          expect(error).toBeInstanceOf(HeadgateError)
        }
        expect(reader.offset).toBeLessThanOrEqual(input.length)
      }),
      { numRuns: 2000 },
    )
  })

  it('accepts exactly one encoding of an integer', () => {
    fc.assert(
      fc.property(bytes, (input) => {
        let magnitude: Buffer
        try {
          magnitude = new WireReader(wireString(input)).mpint()
        } catch {
          return
        }
        expect(magnitude[0]).toBeGreaterThan(0)
        expect(wireMpint(magnitude).equals(wireString(input))).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('accepts every positive integer in its own encoding', () => {
    fc.assert(
      fc.property(
        bytes.filter((input) => input.some((byte) => byte !== 0)),
        (input) => {
          const trimmed = input.subarray(input.findIndex((byte) => byte !== 0))
          expect(new WireReader(wireMpint(input)).mpint().equals(trimmed)).toBe(true)
        },
      ),
    )
  })

  it.each([
    ['zero', ''],
    ['zero with a byte', '00'],
    ['a negative number', '80'],
    ['padding', '0001'],
    ['more padding', '000080'],
  ])('refuses %s as an integer', (_, hex) => {
    expect(() => new WireReader(wireString(Buffer.from(hex, 'hex'))).mpint()).toThrow(HeadgateError)
  })

  it('refuses integers beyond 16384 bits', () => {
    expect(new WireReader(wireMpint(Buffer.alloc(2048, 0xff))).mpint()).toHaveLength(2048)
    expect(() => new WireReader(wireMpint(Buffer.alloc(2049, 1))).mpint()).toThrow('too large')
    expect(() => new WireReader(wireMpint(Buffer.alloc(2050, 1))).mpint()).toThrow('too large')
  })

  it.each([0xffffffff, 0x80000000, 0x7fffffff, 5])(
    'refuses a length of %d where 4 bytes are left',
    (length) => {
      const reader = new WireReader(Buffer.concat([wireUint32(length), Buffer.alloc(4)]))
      expect(() => reader.string()).toThrow('ends too early')
    },
  )

  it.each([
    ['a NUL at the end, which OpenSSH allows', Buffer.from('git\0')],
    ['a NUL inside', Buffer.from('g\0it')],
    ['a line break', Buffer.from('g\nit')],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe])],
    ['an overlong encoding', Buffer.from([0xc0, 0xaf])],
  ])('refuses a name with %s', (_, name) => {
    expect(() => new WireReader(wireString(name)).text()).toThrow(HeadgateError)
  })

  it('refuses trailing bytes', () => {
    const reader = new WireReader(Buffer.concat([wireString('a'), Buffer.from([0])]))
    reader.string()
    expect(() => reader.end()).toThrow('trailing')
  })
})
