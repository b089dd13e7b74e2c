/**
 * The parts of undici that gates use: one client, one connection. Its entry point would load fetch, caches, proxies,
 * WebSockets and more besides, which takes as long as a short run of gates.
 */
import type * as undici from 'undici'
// @ts-expect-error: the parts have no types of their own; those of the whole are given below
import request from 'undici/lib/api/api-request.js'
// @ts-expect-error: see above
import connector from 'undici/lib/core/connect.js'
// @ts-expect-error: see above
import client from 'undici/lib/dispatcher/client.js'

export type Connector = undici.buildConnector.connector
export type ConnectorCallback = undici.buildConnector.Callback
type ClientInstance = undici.Client

export const buildConnector: typeof undici.buildConnector = connector
export const Client: typeof undici.Client = client

/** What `client.request(options)` does once the entry point has been loaded. */
export function sendWith(
  client: ClientInstance,
  options: undici.Dispatcher.RequestOptions,
): Promise<undici.Dispatcher.ResponseData> {
  return request.call(client, options)
}
