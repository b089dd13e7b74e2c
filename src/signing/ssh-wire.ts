/**
 * SSH's wire encoding (RFC 4251 section 5): big-endian integers, and strings with a uint32 length before them.
 *
 * Everything that is read here may come from an attacker. Each value has exactly one accepted encoding, so that two
 * different blobs never mean the same key or signature. Every failure is HeadgateError 'data'.
 */
import { HeadgateError } from '../core/errors.ts'

/** Larger than any field of a 16384-bit RSA key or signature, the largest that OpenSSH reads. */
const MAX_MPINT_BYTES = 2048

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class WireReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get offset(): number {
    return this.#offset
  }

  /** A copy of the bytes that were read since `start`, an earlier `offset`. */
  since(start: number): Buffer {
    return Buffer.from(this.#bytes.subarray(start, this.#offset))
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length
  }

  /** The caller must call this after the last field: bytes that were not read are bytes that were not checked. */
  end(): void {
    if (!this.atEnd) throw new HeadgateError('data', 'SSH data has trailing bytes')
  }

  /** A view of the bytes that are read, as `string` returns too. */
  bytes(length: number): Buffer {
    // `length` is hostile: compare with what is left instead of adding to the offset.
    if (length > this.#bytes.length - this.#offset) throw new HeadgateError('data', 'SSH data ends too early')
    const start = this.#offset
    this.#offset += length
    return this.#bytes.subarray(start, this.#offset)
  }

  byte(): number {
    return this.bytes(1).readUInt8()
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE()
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE()
  }

  string(): Buffer {
    return this.bytes(this.uint32())
  }

  /**
   * A string that is a name: UTF-8 without control characters. OpenSSH allows one NUL at the end of a name, and what
   * it does with it depends on who reads; here it is refused.
   */
  text(): string {
    let text: string
    try {
      text = utf8.decode(this.string())
    } catch (cause) {
      if (cause instanceof HeadgateError) throw cause
      throw new HeadgateError('data', 'SSH name is not UTF-8', { cause })
    }
    if (/\p{Cc}/u.test(text)) throw new HeadgateError('data', 'SSH name has control characters')
    return text
  }

  /** A positive integer in its shortest form, returned as its big-endian magnitude without leading zeros. */
  mpint(): Buffer {
    const bytes = this.string()
    const [first, second] = bytes
    if (first === undefined) throw new HeadgateError('data', 'SSH integer is zero')
    if (first >= 0x80) throw new HeadgateError('data', 'SSH integer is negative')
    // One zero byte keeps a high first bit from meaning a negative number; any other use of it is padding.
    if (first === 0 && (second === undefined || second < 0x80)) {
      throw new HeadgateError('data', 'SSH integer has padding')
    }
    const magnitude = first === 0 ? bytes.subarray(1) : bytes
    if (magnitude.length > MAX_MPINT_BYTES) throw new HeadgateError('data', 'SSH integer is too large')
    return magnitude
  }
}

export function wireUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function wireString(value: Uint8Array | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  return Buffer.concat([wireUint32(bytes.length), bytes])
}

/** `magnitude` is big-endian and unsigned; leading zeros are dropped. */
export function wireMpint(magnitude: Uint8Array): Buffer {
  let start = 0
  while (start < magnitude.length && magnitude[start] === 0) start += 1
  const bytes = magnitude.subarray(start)
  const high = (bytes[0] ?? 0) >= 0x80
  return wireString(high ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes)
}
