/**
 * What went wrong on the wire, in words. The messages of such errors are never used: they can quote what the server
 * sent (a certificate's names, a malformed header), and nothing that a server sends may reach evidence.
 */
export function describeConnectionFailure(error: unknown): string {
  const code = codeOf(error)
  return (isClosed(error, code) ? CLOSED : WORDS[code]) ?? wordsOfFamily(code)
}

/** The other side ended the connection in order. Node calls that a reset, too, but no call of the system failed. */
function isClosed(error: unknown, code: string): boolean {
  return code === 'ECONNRESET' && (error as NodeJS.ErrnoException).syscall === undefined
}

/** True for a request that could not even be written: the fault is in the policy, not in the environment. */
export function isInvalidRequest(error: unknown): boolean {
  return INVALID.includes(codeOf(error))
}

const CLOSED = 'the connection closed before the answer was complete'

const INVALID = [
  'ERR_INVALID_CHAR',
  'ERR_INVALID_HTTP_TOKEN',
  'ERR_HTTP_INVALID_HEADER_VALUE',
  'ERR_UNESCAPED_CHARACTERS',
]

const WORDS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'the host name does not resolve',
  EAI_AGAIN: 'the host name cannot be resolved now',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'the connection timed out',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was reset',
  HPE_HEADER_OVERFLOW: 'the headers of the answer are too large',
  HPE_UNEXPECTED_CONTENT_LENGTH: 'the answer is not as long as it says',
  CERT_HAS_EXPIRED: 'TLS failed: the certificate has expired',
  CERT_NOT_YET_VALID: 'TLS failed: the certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'TLS failed: the certificate is for another host',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'TLS failed: the certificate is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'TLS failed: the certificate is from an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'TLS failed: the certificate is from an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'TLS failed: the certificate is from an authority that is not trusted here',
}

function wordsOfFamily(code: string): string {
  if (INVALID.includes(code)) return 'the request cannot be written as HTTP'
  if (code.startsWith('HPE_')) return 'the answer is not valid HTTP'
  if (/^(?:ERR_SSL|ERR_TLS|CERT|CRL|UNABLE|EPROTO)/.test(code)) return `TLS failed (${code})`
  return code === '' ? 'the connection failed' : `the connection failed (${code})`
}

/** The code of an error, where it is one word of Node's or OpenSSL's; else empty. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : ''
}
