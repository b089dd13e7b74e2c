/**
 * What went wrong on the wire, in words. The messages of such errors are never used: they can quote what the server
 * sent (a certificate's names, a malformed header), and nothing that a server sends may reach evidence.
 */
export function describeConnectionFailure(error: unknown): string {
  // undici's parser gives its errors a name and, most of the time, no code.
  if ((error as Error | null)?.name === 'HTTPParserError') return 'the answer is not valid HTTP'
  const code = codeOf(error)
  return WORDS[code] ?? wordsOfFamily(code)
}

/** True for a request that could not even be written: the fault is in the policy, not in the environment. */
export function isInvalidRequest(error: unknown): boolean {
  return codeOf(error) === 'UND_ERR_INVALID_ARG' || codeOf(error) === 'UND_ERR_NOT_SUPPORTED'
}

const WORDS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'the host name does not resolve',
  EAI_AGAIN: 'the host name cannot be resolved now',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'the connection timed out',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was reset',
  UND_ERR_SOCKET: 'the connection closed before the answer was complete',
  UND_ERR_HEADERS_OVERFLOW: 'the headers of the answer are too large',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer is not as long as it says',
  UND_ERR_INVALID_ARG: 'the request cannot be written as HTTP',
  UND_ERR_NOT_SUPPORTED: 'the request cannot be written as HTTP',
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
  if (/^(?:ERR_SSL|ERR_TLS|CERT|CRL|UNABLE|EPROTO)/.test(code)) return `TLS failed (${code})`
  return code === '' ? 'the connection failed' : `the connection failed (${code})`
}

/** The code of an error, where it is one word of Node's, OpenSSL's or undici's; else empty. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : ''
}
