/** A DSSE envelope, as it is submitted, signed by the server and recorded: a payload, its type, signatures over both. */
export type Envelope = {
  readonly payloadType: string
  /** Base64. */
  readonly payload: string
  readonly signatures: readonly EnvelopeSignature[]
}

/** `sig` is base64. `keyid` is a hint for people: nothing checks it, nothing may rely on it. */
export type EnvelopeSignature = { readonly keyid?: string; readonly sig: string }

/** Each signature costs one verification. A handful of approvers is the most that any policy asks for. */
export const MAX_SIGNATURES = 16
