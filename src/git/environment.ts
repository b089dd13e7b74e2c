/**
 * The environment of every git process that headgate starts. It is built, never inherited: over a local path, and for
 * users who share an account, the pusher's whole environment reaches a hook, and with it `GIT_CONFIG_GLOBAL`,
 * `GIT_NAMESPACE`, `PATH`, `HOME`, `GIT_TRACE` and more.
 */
import { lstatSync, realpathSync } from 'node:fs'
import { basename, delimiter, dirname } from 'node:path'

export type Quarantine = {
  /** A path that `verifyQuarantine` returned, and nothing else. */
  readonly path: string
  /** The repository's own object directory, which the quarantine only adds to. */
  readonly objectsDir: string
}

export type GitEnvironmentOptions = {
  /** Absolute path of the git binary. */
  readonly gitPath: string
  /** Set for reads on behalf of a push whose objects are still in quarantine; never for writes. */
  readonly quarantine?: Quarantine | null
}

export function gitEnvironment(options: GitEnvironmentOptions): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: [dirname(options.gitPath), '/usr/bin', '/bin'].join(delimiter),
    // No home: git before 2.32 does not know GIT_CONFIG_GLOBAL, and reads $HOME/.config/git in any version.
    HOME: '/nonexistent',
    XDG_CONFIG_HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_GRAFT_FILE: '/dev/null',
    // Empty means "no shallow file" to git itself (fetch-pack uses it so); /dev/null would mean "shallow, nowhere".
    GIT_SHALLOW_FILE: '',
    // A decision must not depend on a network: objects that a partial clone lacks are missing. Known since git 2.45.
    GIT_NO_LAZY_FETCH: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
    // For the reflog of repositories that keep one of every ref.
    GIT_COMMITTER_NAME: 'headgate',
    GIT_COMMITTER_EMAIL: 'headgate@localhost',
    LC_ALL: 'C',
    TZ: 'UTC',
  }
  const { quarantine } = options
  if (quarantine) {
    environment.GIT_OBJECT_DIRECTORY = quarantine.path
    environment.GIT_ALTERNATE_OBJECT_DIRECTORIES = quoteAlternate(quarantine.objectsDir)
  }
  return environment
}

/**
 * Settings that a repository's own configuration must not change, as arguments that go before the git command. None of
 * our processes starts a hook, a signature program or a housekeeper, and ancestry is read from the commits themselves,
 * not from a commit-graph file beside them.
 */
export const PINNED_CONFIGURATION: readonly string[] = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.commitGraph=false',
  // The empty graft file that the environment names is answered with advice, on stderr, in every process.
  'advice.graftFileDeprecated=false',
  'log.showSignature=false',
  'i18n.logOutputEncoding=UTF-8',
  'color.ui=false',
  'gc.auto=0',
  'maintenance.auto=false',
].flatMap((setting) => ['-c', setting])

/** git syncs neither loose objects nor refs unless told. */
export const DURABLE_CONFIGURATION: readonly string[] = [
  'core.fsync=committed,loose-object,pack-metadata,reference',
  'core.fsyncMethod=fsync',
  // Writers meet, and each holds the lock for milliseconds; git would wait 100 ms.
  'core.filesRefLockTimeout=2000',
  'reftable.lockTimeout=10000',
  // An append is some ten objects: a pack of each would be in the way of every reader.
  'fastimport.unpackLimit=100',
].flatMap((setting) => ['-c', setting])

/**
 * The quarantine directory that a hook names in `GIT_QUARANTINE_PATH`, if it is one that receive-pack could have made for
 * this repository: a real directory, directly in `objectsDir`, with git's name for it. Otherwise null: the variable
 * comes from the environment, and objects from elsewhere would become facts.
 */
export function verifyQuarantine(path: string, objectsDir: string): string | null {
  if (!/^(?:tmp_objdir-)?incoming-[A-Za-z0-9]+$/.test(basename(path))) return null
  try {
    if (!lstatSync(path).isDirectory()) return null
    const real = realpathSync(path)
    return dirname(real) === realpathSync(objectsDir) ? real : null
  } catch {
    return null
  }
}

/** `GIT_ALTERNATE_OBJECT_DIRECTORIES` is a list; an entry in double quotes is read with C escapes. */
function quoteAlternate(path: string): string {
  if (!/[:;"\\\n]/.test(path)) return path
  return `"${path.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`
}
