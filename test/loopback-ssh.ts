/** An sshd on the loopback interface, for the user who runs it; one key is there, others may be added. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'

const SSHD = '/usr/sbin/sshd'

export class LoopbackSsh {
  readonly ports: readonly number[]
  readonly #process: ChildProcess
  readonly #folder: string

  private constructor(process: ChildProcess, ports: readonly number[], folder: string) {
    this.#process = process
    this.ports = ports
    this.#folder = folder
  }

  static isThere(): boolean {
    return existsSync(SSHD)
  }

  /** `authorized`: more lines for authorized_keys. `settings`: more for sshd, which may tell `ports` apart by Match. */
  static async start(
    folder: string,
    options: {
      readonly ports?: number
      readonly authorized?: readonly string[]
      readonly settings?: (ports: readonly number[]) => readonly string[]
    } = {},
  ): Promise<LoopbackSsh> {
    mkdirSync(folder, { recursive: true })
    for (const name of ['host', 'user'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)])
    const keys = [readFileSync(join(folder, 'user.pub'), 'utf8').trim(), ...(options.authorized ?? [])]
    writeFileSync(join(folder, 'authorized'), `${keys.join('\n')}\n`)
    // sshd wants its privilege separation folder, also where no package manager has made it.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true })
    const ports: number[] = []
    while (ports.length < (options.ports ?? 1)) {
      const port = await freePort()
      if (!ports.includes(port)) ports.push(port)
    }
    const settings = [
      ...ports.map((port) => `ListenAddress 127.0.0.1:${port}`),
      `HostKey ${join(folder, 'host')}`,
      `AuthorizedKeysFile ${join(folder, 'authorized')}`,
      `PidFile none`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin yes',
      'AcceptEnv TEST_PUSHER GIT_CONFIG_GLOBAL',
      ...(options.settings?.(ports) ?? []),
    ]
    writeFileSync(join(folder, 'sshd_config'), `${settings.join('\n')}\n`)
    const child = spawn(SSHD, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: 'ignore' })
    const ssh = new LoopbackSsh(child, ports, folder)
    for (let i = 0; i < 100; i++) {
      try {
        execFileSync('/bin/sh', ['-c', `${ssh.command()} -p ${ports[0]} ${ssh.host} true`], {
          stdio: 'ignore',
        })
        return ssh
      } catch {
        await new Promise((done) => setTimeout(done, 100))
      }
    }
    child.kill()
    throw new Error('sshd did not start')
  }

  get host(): string {
    return `${userInfo().username}@127.0.0.1`
  }

  url(path: string, port = this.ports[0]): string {
    return `ssh://${this.host}:${port}${path}`
  }

  /** For GIT_SSH_COMMAND; with these keys and no others. */
  command(keys: readonly string[] = [join(this.#folder, 'user')], ...more: readonly string[]): string {
    const options = [
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'IdentitiesOnly=yes',
      'LogLevel=ERROR',
      'SendEnv=TEST_PUSHER',
      'SendEnv=GIT_CONFIG_GLOBAL',
      ...more,
    ]
    const identities = keys.map((key) => `-i ${key}`).join(' ')
    return `ssh -F none ${identities} ${options.map((option) => `-o ${option}`).join(' ')}`
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.kill()
    await ended
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
