/** An sshd on the loopback interface, for one user with one key. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'

const SSHD = '/usr/sbin/sshd'

export class LoopbackSsh {
  readonly #process: ChildProcess
  readonly #port: number
  readonly #folder: string

  private constructor(process: ChildProcess, port: number, folder: string) {
    this.#process = process
    this.#port = port
    this.#folder = folder
  }

  static isThere(): boolean {
    return existsSync(SSHD)
  }

  static async start(folder: string): Promise<LoopbackSsh> {
    mkdirSync(folder, { recursive: true })
    for (const name of ['host', 'user'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)])
    writeFileSync(join(folder, 'authorized'), readFileSync(join(folder, 'user.pub')))
    // sshd wants its privilege separation folder, also where no package manager has made it.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true })
    const port = await freePort()
    const settings = [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${join(folder, 'host')}`,
      `AuthorizedKeysFile ${join(folder, 'authorized')}`,
      `PidFile none`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin yes',
      'AcceptEnv TEST_PUSHER GIT_CONFIG_GLOBAL',
    ]
    writeFileSync(join(folder, 'sshd_config'), `${settings.join('\n')}\n`)
    const child = spawn(SSHD, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: 'ignore' })
    const ssh = new LoopbackSsh(child, port, folder)
    for (let i = 0; i < 100; i++) {
      try {
        execFileSync('/bin/sh', ['-c', `${ssh.command()} ${ssh.host} true`], { stdio: 'ignore' })
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

  url(path: string): string {
    return `ssh://${this.host}:${this.#port}${path}`
  }

  /** For GIT_SSH_COMMAND. */
  command(): string {
    const options = [
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'IdentitiesOnly=yes',
      'LogLevel=ERROR',
      'SendEnv=TEST_PUSHER',
      'SendEnv=GIT_CONFIG_GLOBAL',
    ]
    return `ssh -F none -p ${this.#port} -i ${join(this.#folder, 'user')} ${options.map((option) => `-o ${option}`).join(' ')}`
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
