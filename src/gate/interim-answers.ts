/**
 * A client must take interim answers (1xx) that it has not asked for, any number of them, and go on waiting (RFC 9110,
 * section 15.2). undici takes a `100 Continue` for a broken connection, so that it does not get to see them.
 */
import type { Socket } from 'node:net'

/** All 1xx but 101: a server that was not asked to switch protocols cannot. */
const INTERIM = /^HTTP\/1\.[01] 1(?!01)[0-9]{2}(?=[ \r])[\s\S]*?\r\n\r\n/
/** What could still become the first line of one. */
const BEGINNING = /^(?:H|HT|HTT|HTTP|HTTP\/|HTTP\/1|HTTP\/1\.|HTTP\/1\.[01](?: (?:1(?:0|[02-9][0-9]?)?)?)?)$/
const STATUS_LINE = /^HTTP\/1\.[01] 1(?!01)[0-9]{2}(?=[ \r])/

/** Takes interim answers out of what is read from a socket, until another one begins. `limit` bounds each of them. */
export function skipInterim(socket: Socket, limit: number): void {
  const read = socket.read.bind(socket)
  let held = Buffer.alloc(0)
  socket.read = (size?: number): Buffer | null => {
    const chunk: Buffer | null = read(size)
    if (chunk === null) return null
    held = Buffer.concat([held, chunk])
    for (;;) {
      const text = held.toString('latin1', 0, limit)
      const [interim] = INTERIM.exec(text) ?? []
      if (interim === undefined) {
        const isUndecided = STATUS_LINE.test(text) || BEGINNING.test(text) || text === ''
        if (isUndecided && held.length < limit) return null
        socket.read = read
        return held
      }
      held = held.subarray(interim.length)
    }
  }
}
