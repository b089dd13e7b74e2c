import type { CorsGate, GateRequest, HttpExpectation } from '../core/policy/policy.ts'
import { checkAnswer, checkTime } from './expectation.ts'
import type { Attempt, GateContext } from './gate-context.ts'
import type { HttpAnswer } from './http-exchange.ts'
import { statusOf } from './http-gate.ts'
import { type Sent, sendRequest } from './send-request.ts'

/** An application may turn a foreign origin away; that it is broken is no denial. */
const SERVED_OR_DENIED: HttpExpectation['statuses'] = ['2xx', 400, 401, 403]

/**
 * Asks as a page of a foreign origin would: the request itself, and the preflight that a browser sends before one with
 * credentials or JSON. Either may let the origin in alone, so both are looked at.
 */
export async function tryCorsGate(gate: CorsGate, context: GateContext): Promise<Attempt> {
  const options = { ...context, cookies: context.cookies.copy(), timeoutMs: gate.timeoutMs }
  const [simple, preflight] = await Promise.all([
    sendRequest(gate.request, options),
    sendRequest(preflightOf(gate.request, gate.origin), { ...options, cookies: context.cookies.copy() }),
  ])
  const expect = gate.expect.statuses === null ? { ...gate.expect, statuses: SERVED_OR_DENIED } : gate.expect
  return {
    objections: [
      ...lookAt(simple, gate, (answer) => [
        ...checkAnswer(expect, answer),
        ...checkTime(expect, simple.durationMs),
      ]),
      ...lookAt(preflight, gate, ({ status }) => (status >= 500 ? [`status ${status}`] : [])).map(
        (objection) => `preflight: ${objection}`,
      ),
    ],
    status: statusOf(simple),
    statuses: null,
    reached: simple.kind !== 'unreachable' || preflight.kind !== 'unreachable',
    cookies: options.cookies,
  }
}

function preflightOf(request: GateRequest, origin: string): GateRequest {
  const names = Object.keys(request.headers).filter((name) => name !== 'origin' && name !== 'cookie')
  return {
    method: 'OPTIONS',
    path: request.path,
    headers: {
      origin,
      'access-control-request-method': request.method,
      'access-control-request-headers': [...new Set(['content-type', ...names])].sort().join(','),
    },
    body: null,
    redirects: 0,
  }
}

function lookAt(
  sent: Sent,
  { origin }: CorsGate,
  objectionsTo: (answer: HttpAnswer) => readonly string[],
): readonly string[] {
  if (sent.kind !== 'answered') return [sent.reason]
  return [...letsIn(sent.answer, origin), ...objectionsTo(sent.answer)]
}

/** A header that says it twice, or in a list, counts for each of its values: browsers and proxies differ there. */
function letsIn({ headers }: HttpAnswer, origin: string): string[] {
  const values = (headers.get('access-control-allow-origin') ?? [])
    .flatMap((value) => value.split(','))
    .map((value) => value.trim().toLowerCase().replace(/\/$/, ''))
  const objections: string[] = []
  if (values.includes('*')) objections.push('every origin is let in (*)')
  if (values.includes(origin.toLowerCase())) objections.push(`the foreign origin ${origin} is let in`)
  return objections
}
