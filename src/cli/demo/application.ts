/**
 * The little application that the demo deploys: one process of the demo's own, once as staging and once as production.
 * What it does depends on the commit that it was given: `app.json` names the model that its chat answers with, and not
 * every environment has every model.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as z from '../../core/zod-mini.ts'

/** What a commit's `app.json` says. */
export const buildSchema = z.strictObject({ greeting: z.string(), model: z.string() })

export type Build = z.output<typeof buildSchema>

/** A chat message is a few words; nobody else should be talking to the demo. */
const MAX_BODY_BYTES = 10_000

export class Application {
  readonly environment: 'staging' | 'production'
  /** The models that this environment has; the commit doesn't know. */
  readonly models: Set<string>
  readonly #server: Server
  #commit: string | null = null
  #build: Build | null = null

  private constructor(environment: 'staging' | 'production', models: readonly string[]) {
    this.environment = environment
    this.models = new Set(models)
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  /** Listens on a free port of the loopback interface. */
  static async start(environment: 'staging' | 'production', models: readonly string[]): Promise<Application> {
    const application = new Application(environment, models)
    await new Promise<void>((resolve, reject) => {
      application.#server.once('error', reject).listen(0, '127.0.0.1', resolve)
    })
    return application
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  deploy(commit: string, build: Build): void {
    this.#commit = commit
    this.#build = build
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
    }
    switch (`${request.method} ${request.url}`) {
      case 'GET /health':
        return send(200, {
          status: 'ok',
          app_env: this.environment,
          debug_errors: false,
          commit: this.#commit,
        })
      case 'GET /db/health':
        return send(200, { status: 'ok', host: `db.${this.environment}.internal` })
      case 'POST /api/chat': {
        const text = await readBody(request)
        if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) {
          return send(415, { error: 'send application/json' })
        }
        if (!isJson(text)) return send(400, { error: 'not JSON' })
        if (this.#build === null || !this.models.has(this.#build.model)) {
          return send(500, { error: 'the model is not available' })
        }
        return send(200, { reply: this.#build.greeting, model: this.#build.model })
      }
      default:
        return send(404, { error: 'not found' })
    }
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bodyBytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bodyBytes += chunk.length
    if (bodyBytes > MAX_BODY_BYTES) throw new Error('the body is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
