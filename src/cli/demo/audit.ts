/** The last steps: what remains of it all, and who can check it. */
import type { Stage } from './stage.ts'

/** Checks the seal of the newest record with what every machine has: git, sed, ssh-keygen. The format: ledger/record.ts. */
const CHECK_SEAL = `export GIT_DIR=../app.git
log=refs/headgate/ledger
file=$(git ls-tree -r --name-only $log entries/ | sort -t/ -k4 | tail -n 1)
git show $log:$file > record.json
# The seal is over the record without the seal.
sed 's/"seal":"[^"]*",//' record.json | tr -d '\\n' > unsealed.json
{ echo '-----BEGIN SSH SIGNATURE-----'
  sed 's/.*"seal":"\\([^"]*\\)".*/\\1/' record.json | tr -d '\\n' | fold -w 70
  echo; echo '-----END SSH SIGNATURE-----'; } > seal.sig
echo "headgate-seal $(cat $GIT_DIR/headgate/seal-key.pub)" > signers
ssh-keygen -Y verify -f signers -I headgate-seal -n headgate-ledger \\
  -s seal.sig < unsealed.json
`

/** What the ledger must tell of this tour, in this order. */
const STORY = [
  /policy version 1 applied/,
  /evidence \w+ passed on staging/,
  /promotion \w+ authorized on release/,
  /evidence \w+ passed on production/,
  /policy version 2 applied/,
  /policy version 3 applied/,
  /evidence \w+ failed on production/,
  /approval to roll release back/,
  /rollback \w+ authorized on release/,
  /promotion \w+ authorized on release/,
]

/** Step 12. */
export async function auditLog(stage: Stage): Promise<void> {
  stage.narrator.step(
    'All of it is in the ledger, a ref of the repository',
    'Hash-chained and signed; git log reads it, git fetch copies it.',
  )
  const format = ['log', '--reverse', '--format=%h %s', 'refs/headgate/ledger']
  const { output } = await stage.must('auditor', ['git', '-C', '../app.git', ...format])
  let from = 0
  for (const line of STORY) {
    const at = output.slice(from).search(line)
    stage.expect(at >= 0, `the ledger was to tell of ${line} here`)
    from += at + 1
  }
  const lines = output.trim().split('\n').length
  stage.narrator.asTold(`${lines} records, and they tell what happened here in the order in which it did`)
}

/** Step 13. */
export async function sealByHand(stage: Stage): Promise<void> {
  stage.narrator.step(
    'Nobody has to believe headgate',
    'git, sed and ssh-keygen check the newest seal; headgate takes no part.',
  )
  stage.write('audit/check-seal.sh', CHECK_SEAL)
  await stage.must('auditor', ['cat', 'check-seal.sh'])
  const { output } = await stage.must('auditor', ['sh', 'check-seal.sh'])
  stage.expect(/^Good "headgate-ledger" signature/m.test(output), 'ssh-keygen was to find the seal good')
  stage.narrator.asTold('ssh-keygen confirms the seal')
}
