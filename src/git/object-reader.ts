/**
 * Reads objects through one long-lived `git cat-file --batch-command`. A request is one line, `info <name>` or
 * `contents <name>`; the answer is
 *
 *     <oid> SP <type> SP <size> LF [<body> LF]      or      <name> SP missing LF
 *
 * in the order of the requests, so that any number of them can be under way at once. Before it asks for an object's
 * contents, the reader asks how large they are: what is larger than the caller wants is never read.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import type { Socket } from 'node:net'
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { debug, shownCommand } from './debug.ts'
import type { GitObject, GitObjectType, ObjectInfo } from './git-object.ts'
import { tooOld } from './git-version.ts'
import { firstLines, type GitCommand, incompleteProblem, startGit } from './process.ts'
import { parseTree, type TreeEntry } from './tree.ts'

/** Unless told: far above any tree, commit or text that headgate reads, small enough to hold a few. */
const MAX_OBJECT_BYTES = 32 * 1024 * 1024
/** Two full ids, a type and a size need 100 bytes; a path of `<oid>:<path>` comes back in an answer too. */
const MAX_NAME_LENGTH = 8192
const MAX_LINE_BYTES = MAX_NAME_LENGTH * 4
/** git answers in less than a millisecond; a disk that hangs must not hang a decision forever. */
const SILENCE_MS = 60_000

type Question = {
  readonly name: string
  /** The body is wanted, and this many bytes of it; null: only type and size are. */
  readonly bodyBytes: number | null
  /** An object that a partial clone lacks is an answer, and not an error. */
  readonly mayLack: boolean
}

type Request = Question & {
  /** How many processes died at it. */
  deaths: number
  readonly resolve: (answer: GitObject | null) => void
  readonly reject: (error: Error) => void
}

export class ObjectReader {
  readonly #command: GitCommand
  readonly #hexLength: 40 | 64
  readonly #outer: () => ObjectReader | undefined
  #child: ChildProcessWithoutNullStreams | undefined
  #pending: Request[] = []
  #line: Buffer[] = []
  #lineBytes = 0
  /** The header of the body that is being received. */
  #header: ObjectInfo | undefined
  #body: Buffer = EMPTY
  #filled = 0
  #stderr = ''
  #timer: NodeJS.Timeout | undefined
  #watched: ChildProcessWithoutNullStreams | undefined
  #closed = false

  /**
   * `command` starts `git cat-file --batch-command`. What `outer` finds is not asked for again: it reads the same
   * repository outside of the quarantine and may have its process already.
   */
  constructor(
    command: GitCommand,
    hexLength: 40 | 64,
    outer: () => ObjectReader | undefined = () => undefined,
  ) {
    this.#command = command
    this.#hexLength = hexLength
    this.#outer = outer
  }

  /**
   * The object called `name`: a full id, or `<full id>:<path>`; null if it is missing. An id of the wrong length for this
   * repository names nothing in it. Throws HeadgateError 'data' if the object is larger than `maxBytes` or corrupt,
   * 'unavailable' if git cannot tell. git does not say of every damaged object that it is there: a caller that follows an id
   * from another object must treat null as an error.
   */
  async read(name: string, maxBytes = MAX_OBJECT_BYTES): Promise<GitObject | null> {
    if (!this.#isName(name)) return null
    const elsewhere = this.#closed ? null : ((await this.#outer()?.read(name, maxBytes)) ?? null)
    if (elsewhere !== null) return elsewhere
    const info = await this.#ask({ name, bodyBytes: null, mayLack: false })
    if (info === null) return null
    if (info.size > maxBytes) throw oversize(name, info, maxBytes)
    const object = await this.#ask({ name: info.oid, bodyBytes: info.size, mayLack: false })
    if (object === null) throw unreadable(name, 'it cannot be read any more')
    return object
  }

  /** Type and size of an object without its body, whatever its size. */
  async info(name: string): Promise<ObjectInfo | null> {
    if (!this.#isName(name)) return null
    const elsewhere = this.#closed ? null : ((await this.#outer()?.info(name)) ?? null)
    if (elsewhere !== null) return elsewhere
    const answer = await this.#ask({ name, bodyBytes: null, mayLack: true })
    return answer === null ? null : { oid: answer.oid, type: answer.type, size: answer.size }
  }

  /** The entries of a tree, named by the tree's or a commit's id; null if the object is missing. */
  async tree(oid: Oid, maxBytes = MAX_OBJECT_BYTES): Promise<readonly TreeEntry[] | null> {
    const object = await this.read(`${oid}^{tree}`, maxBytes)
    return object === null ? null : parseTree(object.body, this.#hexLength === 40 ? 20 : 32)
  }

  /** Ends the process. Requests under way fail; later ones too. */
  close(): void {
    this.#closed = true
    this.#child?.stdin.end()
    this.#stop(new HeadgateError('unavailable', 'the object reader was closed'))
  }

  /** Abbreviations, refs and revision syntax never reach git: each could mean something else tomorrow. */
  #isName(name: string): boolean {
    const match = /^([0-9a-f]+)(?:\^\{tree\}|:[^\0\n]*)?$/.exec(name)
    if (match === null || name.length > MAX_NAME_LENGTH) {
      throw new HeadgateError('data', `${JSON.stringify(name.slice(0, 200))} is not the name of an object`)
    }
    return match[1]?.length === this.#hexLength
  }

  async #ask(question: Question): Promise<GitObject | null> {
    if (this.#closed) throw new HeadgateError('unavailable', 'the object reader is closed')
    const answer = await new Promise<GitObject | null>((resolve, reject) => {
      this.#pending.push({ ...question, deaths: 0, resolve, reject })
      if (this.#child === undefined) this.#start()
      else this.#child.stdin.write(lineOf(question))
      this.#watch()
    })
    // How large an object is, is asked before its contents: that is told where it is all that is asked.
    if (answer === null || question.bodyBytes !== null || question.mayLack) {
      const found = answer === null ? 'missing' : `${answer.type}, ${answer.size} bytes`
      debug(() => `git cat-file ${lineOf(question).trimEnd()}: ${found}`)
    }
    return answer
  }

  #start(): void {
    let child: ChildProcessWithoutNullStreams
    try {
      child = startGit(this.#command)
      debug(() => `${shownCommand(this.#command.args)}: runs until it is closed`)
    } catch (error) {
      this.#stop(error as Error)
      return
    }
    this.#child = child
    this.#stderr = ''
    // Every handler first makes sure that it speaks for the process in use and not for one that was replaced.
    const current = () => this.#child === child
    child.stdout.on('data', (chunk: Buffer) => {
      if (current()) this.#receive(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      if (current() && this.#stderr.length < MAX_LINE_BYTES) this.#stderr += chunk.toString('utf8')
    })
    child.stdin.on('error', () => {})
    child.on('error', (cause: NodeJS.ErrnoException) => {
      if (!current()) return
      const what = `git cat-file could not be started (${cause.code ?? cause.message})`
      this.#stop(new HeadgateError('unavailable', what, { cause }))
    })
    child.on('close', (code, signal) => {
      if (!current()) return
      const old = / unknown option [`']batch-command'/.test(this.#stderr) && tooOld(this.#command.gitPath)
      if (old) return this.#stop(old)
      const how = this.#stderr === '' ? (signal ?? `exit code ${code}`) : firstLines(this.#stderr)
      // git dies at an object that is damaged, and the next process does as well.
      const asked = / is corrupt$/m.test(this.#stderr) ? this.#pending[0] : undefined
      this.#replace(
        incompleteProblem(this.#command, this.#stderr) ??
          (asked === undefined
            ? new HeadgateError('unavailable', `git cat-file ended: ${how}`)
            : unreadable(asked.name, this.#stderr)),
      )
    })
    child.stdin.write(this.#pending.map(lineOf).join(''))
  }

  /**
   * The process died. Somebody may have killed it, or what it was asked next kills it: that request gets a second chance
   * and no third, the others wait for the next process.
   */
  #replace(error: HeadgateError): void {
    this.#abandon()
    const next = this.#pending[0]
    if (next !== undefined && ++next.deaths > 1) {
      this.#pending.shift()
      next.reject(error)
    }
    if (this.#pending.length > 0) this.#start()
    this.#watch()
  }

  /** Forgets the process and fails what was asked of it. The next request starts another. */
  #stop(error: Error): void {
    const failed = this.#pending
    this.#pending = []
    this.#abandon()
    this.#watch()
    for (const request of failed) request.reject(error)
  }

  #abandon(): void {
    const child = this.#child
    this.#child = undefined
    this.#line = []
    this.#lineBytes = 0
    this.#header = undefined
    this.#body = EMPTY
    child?.kill('SIGKILL')
  }

  /** While nothing is asked, neither a timer nor the process keeps Node running; git ends when its input does. */
  #watch(): void {
    const busy = this.#pending.length > 0
    const child = this.#child
    if (busy && this.#timer !== undefined && this.#watched === child) {
      this.#timer.refresh()
      return
    }
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#watched = child
    if (busy) {
      this.#timer = setTimeout(() => {
        this.#stop(new HeadgateError('unavailable', `git cat-file said nothing for ${SILENCE_MS} ms`))
      }, SILENCE_MS)
    }
    if (child === undefined) return
    for (const handle of [child, child.stdin as Socket, child.stdout as Socket, child.stderr as Socket]) {
      if (busy) handle.ref()
      else handle.unref()
    }
  }

  #receive(chunk: Buffer): void {
    let rest: Buffer = chunk
    const child = this.#child
    while (rest.length > 0 && this.#child === child) {
      rest = this.#header === undefined ? this.#receiveLine(rest) : this.#receiveBody(rest)
    }
    this.#watch()
  }

  #receiveLine(chunk: Buffer): Buffer {
    const end = chunk.indexOf(0x0a)
    const part = end < 0 ? chunk : chunk.subarray(0, end)
    this.#line.push(part)
    this.#lineBytes += part.length
    if (this.#lineBytes > MAX_LINE_BYTES) return this.#garbled()
    if (end < 0) return EMPTY
    const line = Buffer.concat(this.#line).toString('utf8')
    this.#line = []
    this.#lineBytes = 0
    return this.#answer(line, chunk.subarray(end + 1))
  }

  #answer(line: string, rest: Buffer): Buffer {
    const request = this.#pending[0]
    if (request === undefined) return this.#garbled()
    const found = /^([0-9a-f]{40}|[0-9a-f]{64}) (commit|tree|blob|tag) (\d{1,15})$/.exec(line)
    if (found === null) {
      // "submodule": newer gits say so of a gitlink, whose commit is in another repository.
      if (line !== `${request.name} missing` && !/^[0-9a-f]+ submodule$/.test(line)) return this.#garbled()
      this.#pending.shift()
      // What git says of a damaged object was written before this line, but to the other pipe.
      setImmediate(() => this.#missing(request))
      return rest
    }
    const header = { oid: found[1]!, type: found[2] as GitObjectType, size: Number(found[3]) }
    if (request.bodyBytes === null) {
      this.#pending.shift()
      request.resolve({ ...header, body: EMPTY })
      return rest
    }
    // An object never changes: what it said of its size before, it says again.
    if (header.size !== request.bodyBytes) return this.#garbled()
    this.#header = header
    this.#body = Buffer.allocUnsafe(header.size + 1)
    this.#filled = 0
    return rest
  }

  #missing(request: Request): void {
    const said = this.#stderr
    this.#stderr = ''
    const partial = incompleteProblem(this.#command, said)
    // A caller that only asks whether it is there is answered; git says "not fetched" of it.
    if (said === '' || (partial !== null && request.mayLack)) request.resolve(null)
    else request.reject(partial ?? unreadable(request.name, said))
  }

  #receiveBody(chunk: Buffer): Buffer {
    const request = this.#pending[0]
    const header = this.#header
    if (request === undefined || header === undefined) return this.#garbled()
    const taken = chunk.copy(this.#body, this.#filled)
    this.#filled += taken
    if (this.#filled < this.#body.length) return EMPTY
    if (this.#body[header.size] !== 0x0a) return this.#garbled()
    const body = this.#body.subarray(0, header.size)
    this.#header = undefined
    this.#body = EMPTY
    this.#pending.shift()
    request.resolve({ ...header, body })
    return chunk.subarray(taken)
  }

  #garbled(): Buffer {
    this.#stop(new HeadgateError('unavailable', 'git cat-file answered out of turn'))
    return EMPTY
  }
}

const EMPTY = Buffer.alloc(0)

function lineOf({ name, bodyBytes }: Question): string {
  return `${bodyBytes === null ? 'info' : 'contents'} ${name}\n`
}

function unreadable(name: string, said: string): HeadgateError {
  return new HeadgateError('data', `git cannot read ${printable(name)}: ${firstLines(said)}`)
}

function oversize(name: string, { type, size }: ObjectInfo, maxBytes: number): HeadgateError {
  return new HeadgateError(
    'data',
    `${type} ${JSON.stringify(name)} has ${size} bytes, more than the ${maxBytes} that are read`,
  )
}
