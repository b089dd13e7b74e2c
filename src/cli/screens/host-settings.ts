/** What an administrator sets on a host so that a relay, and nobody else, moves the release branch and the ledger. */
import { shortRef } from '../../core/explain.ts'
import { jsonText, shellWord } from '../../core/printable.ts'
import { LEDGER_BRANCH } from '../../core/refs.ts'

export type Forge = 'github' | 'gitlab' | 'gitea' | 'gitolite' | 'other'

export type HostSettings = {
  readonly url: string
  /** Short names. */
  readonly release: string
  readonly staging: string
  /** Full name. */
  readonly ledger: string
  readonly deployKeyLine: string | null
}

/** By the name of the host; a forge under another name has to be told. */
export function forgeOf(url: string): Forge {
  const host = /^(?:[a-z+]+:\/\/)?(?:[^@/]*@)?([^:/]+)/.exec(url)?.[1] ?? ''
  if (/(?:^|\.)github\./.test(host)) return 'github'
  if (/(?:^|\.)gitlab\./.test(host)) return 'gitlab'
  return /(?:^|\.)(?:gitea|forgejo|codeberg)\./.test(host) ? 'gitea' : 'other'
}

export function hostSettings(forge: Forge, settings: HostSettings): string[] {
  const lines = { github, gitlab, gitea, gitolite, other }[forge](settings)
  const isHidden = !settings.ledger.startsWith('refs/heads/') && forge !== 'gitolite' && forge !== 'other'
  return isHidden
    ? [...lines, '', `${settings.ledger} is no branch: the rules above do not protect it.`]
    : lines
}

/** The ruleset as GitHub imports it. Its bypass is for deploy keys of the repository: there must be no other that can write. */
export function githubRuleset({ release, ledger }: Pick<HostSettings, 'release' | 'ledger'>): object {
  return {
    name: 'headgate: only the relay moves these',
    target: 'branch',
    enforcement: 'active',
    conditions: {
      ref_name: { include: [`refs/heads/${release}`, ...new Set([ledger, LEDGER_BRANCH])], exclude: [] },
    },
    rules: [{ type: 'creation' }, { type: 'update' }, { type: 'deletion' }, { type: 'non_fast_forward' }],
    bypass_actors: [{ actor_id: null, actor_type: 'DeployKey', bypass_mode: 'always' }],
  }
}

/** What keeps main from being rewritten, and asks nothing else of anybody. */
export function githubStagingRuleset({ staging }: Pick<HostSettings, 'staging'>): object {
  return {
    name: `headgate: ${staging} only grows`,
    target: 'branch',
    enforcement: 'active',
    conditions: { ref_name: { include: [`refs/heads/${staging}`], exclude: [] } },
    rules: [{ type: 'deletion' }, { type: 'non_fast_forward' }],
    bypass_actors: [],
  }
}

function github(settings: HostSettings): string[] {
  const project = pathOf(settings.url)
  const post = (ruleset: object) => [
    `gh api --method POST repos/${project}/rulesets --input - <<'END'`,
    ...jsonText(ruleset, 2).split('\n'),
    'END',
  ]
  return [
    ...deployKey(settings, [
      '1. The key of the relay, as the only deploy key that may write (the bypass below is for all of those):',
      `   gh repo deploy-key add DIR/deploy-key.pub --repo ${project} --title headgate-relay --allow-write`,
    ]),
    '2. Nobody but a deploy key creates, moves or deletes the release branch and the ledger:',
    ...post(githubRuleset(settings)),
    `3. Nobody rewrites ${settings.staging}:`,
    ...post(githubStagingRuleset(settings)),
    'The same by clicks: Settings, Rules, Rulesets, New ruleset, Import a ruleset. No other bypass may stand there.',
  ]
}

function gitlab(settings: HostSettings): string[] {
  const project = encodeURIComponent(pathOf(settings.url))
  const host = /^(?:[a-z+]+:\/\/)?(?:[^@/]*@)?([^:/]+)/.exec(settings.url)?.[1] ?? 'gitlab.example.com'
  const api = `https://${host}/api/v4/projects/${project}`
  const protect = (name: string) => [
    `curl --fail --header "PRIVATE-TOKEN: $TOKEN" --header 'Content-Type: application/json' \\`,
    `  --data '{"name": "${name}", "allow_force_push": true, "merge_access_level": 0, "allowed_to_push": [{"deploy_key_id": ID}]}' \\`,
    `  ${api}/protected_branches`,
  ]
  return [
    ...deployKey(settings, [
      '1. The key of the relay; the answer has its ID:',
      `   curl --fail --header "PRIVATE-TOKEN: $TOKEN" --data title=headgate-relay --data can_push=true \\`,
      `     --data-urlencode key@DIR/deploy-key.pub ${api}/deploy_keys`,
    ]),
    '2. Nobody but that key pushes to the release branch and the ledger, and nobody merges into them:',
    ...protect(settings.release),
    ...protect(shortRef(settings.ledger)),
    `3. ${settings.staging} is protected with force pushes off (Settings, Repository, Protected branches).`,
  ]
}

function gitea(settings: HostSettings): string[] {
  const rule = (name: string) =>
    `   {"rule_name": "${name}", "enable_push": true, "enable_push_whitelist": true, "push_whitelist_usernames": [], "push_whitelist_deploy_keys": true, "enable_force_push": true, "enable_force_push_allowlist": true, "force_push_allowlist_deploy_keys": true, "enable_merge_whitelist": true, "merge_whitelist_usernames": []}`
  return [
    ...deployKey(settings, [
      '1. Settings, Deploy keys: this key, with write access, and no other that can write.',
    ]),
    `2. POST /api/v1/repos/${pathOf(settings.url)}/branch_protections, with a token that may administer, each of:`,
    rule(settings.release),
    rule(shortRef(settings.ledger)),
    `3. ${settings.staging}: a branch protection without force pushes.`,
  ]
}

function gitolite({ release, staging, deployKeyLine }: HostSettings): string[] {
  return [
    ...(deployKeyLine === null
      ? []
      : ['1. keydir/headgate-relay.pub in gitolite-admin:', `   ${deployKeyLine}`]),
    '2. In conf/gitolite.conf, in the section of the repository, before its other rules (@DEVELOPERS: those who may push now):',
    `   RW+ refs/heads/${release}$ refs/heads/headgate/ledger$ refs/headgate/ = headgate-relay`,
    `   -   refs/heads/${release}$ refs/heads/headgate/ledger$ = @all`,
    '   RW  refs/headgate/inbox/ = @DEVELOPERS',
    '   -   refs/headgate/ = @all',
    `   RW  refs/heads/${staging}$ = @DEVELOPERS`,
    `   -   refs/heads/${staging}$ = @all`,
    '   R   = headgate-relay',
  ]
}

function other({ release, staging, ledger, deployKeyLine }: HostSettings): string[] {
  return [
    ...(deployKeyLine === null ? [] : ['- this key may read and write:', `  ${deployKeyLine}`]),
    `- it alone creates, moves, force-pushes or deletes refs/heads/${release} and ${[...new Set([ledger, LEDGER_BRANCH])].join(' and ')}`,
    '- everybody who may push may create refs/headgate/inbox/..., and the relay may delete them',
    '- the relay may create and delete refs/headgate/answers/...',
    `- nobody rewrites or deletes refs/heads/${staging}`,
  ]
}

function deployKey({ deployKeyLine }: HostSettings, lines: readonly string[]): string[] {
  if (deployKeyLine !== null) return [...lines, `   ${deployKeyLine}`]
  return ['1. An account or a token of its own for the relay, which may write (HEADGATE_RELAY_TOKEN).']
}

/** `acme/app`, as APIs name a repository. */
function pathOf(url: string): string {
  const path = /^[a-z+]+:\/\/[^/]+\/(.*)$/.exec(url)?.[1] ?? /^[^:/]+:(.*)$/.exec(url)?.[1] ?? 'OWNER/NAME'
  return shellWord(path.replace(/^\/+/, '').replace(/\.git\/?$/, ''))
}
