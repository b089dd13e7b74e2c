import { afterEach, describe, expect, test, vi } from 'vitest'
import { ClientRepository } from '../../src/app/clone/client-repository.ts'
import { userGit } from '../../src/git/user-git.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** A command of git's that this environment configures. */
function alias(command: string): Record<string, string> {
  return { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'alias.told', GIT_CONFIG_VALUE_0: command }
}

describe('git as the user runs it', () => {
  test('speaks one language, and leaves the environment of headgate alone', async () => {
    vi.stubEnv('LC_ALL', 'de_DE.UTF-8')
    const before = { ...process.env }
    const client = new ClientRepository({
      folder: process.cwd(),
      environment: { ...process.env, ...alias('!echo $LC_ALL') },
    })
    expect(await client.git('told')).toBe('C\n')
    expect({ ...process.env }).toEqual(before)
  })

  test('has the environment that it is given, editors and commands of ssh among it', async () => {
    const environment = {
      PATH: process.env.PATH,
      EDITOR: 'ed',
      GIT_SSH_COMMAND: 'ssh -4',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'core.pager',
      GIT_CONFIG_VALUE_0: 'less',
    }
    const told = 'alias.told=!echo "$EDITOR, $GIT_SSH_COMMAND, $(git config core.pager), ${HOME-no home}"'
    const ended = await userGit(['-c', told, 'told'], { environment })
    expect(ended).toEqual({ code: 0, stdout: 'ed, ssh -4, less, no home\n', stderr: '' })
    const client = new ClientRepository({
      folder: process.cwd(),
      environment: { ...environment, ...alias('!echo "$EDITOR, $GIT_SSH_COMMAND"') },
    })
    expect(await client.git('told')).toBe('ed, ssh -4\n')
  })

  test('does not wait for what git has left running', async () => {
    const left = 'alias.left=!echo said; sleep 60 & echo $!'
    const { code, stdout } = await userGit(['-c', left, 'left'], { environment: process.env })
    const [said, pid] = stdout.split('\n')
    // Zero would be everybody in this group of processes.
    expect(pid).toMatch(/^[1-9]\d*$/)
    process.kill(Number(pid))
    expect({ code, said }).toEqual({ code: 0, said: 'said' })
  })

  test('that a signal ends has failed, whatever it has printed', async () => {
    const environment = { ...process.env, ...alias('!echo said; kill -9 $PPID') }
    const client = new ClientRepository({ folder: process.cwd(), environment })
    await expect(client.git('told')).rejects.toMatchObject({
      code: 'unavailable',
      message: 'git told: a signal ended git',
    })
    expect((await userGit(['told'], { environment })).code).toBeNull()
  })

  test('ends when it is told to', async () => {
    const abort = new AbortController()
    const ending = userGit(['-c', 'alias.long=!exec sleep 60', 'long'], {
      environment: process.env,
      abort: abort.signal,
    })
    abort.abort()
    expect((await ending).code).not.toBe(0)
  })

  test('that is not there is named as what is missing', async () => {
    vi.stubEnv('PATH', '/nonexistent')
    await expect(userGit(['version'], { environment: process.env })).rejects.toMatchObject({
      code: 'configuration',
      message: 'there is no git in PATH',
    })
  })
})
