import { describe, expect, test } from 'vitest'
import { emptyState, frozenAt, ledgerStateSchema, withLanded } from '../../src/core/state.ts'
import {
  approval,
  authorization,
  driftNote,
  type Entry,
  entry,
  evidence,
  firstRelease,
  foldState,
  freeze,
  HOUR,
  invalidation,
  iso,
  landed,
  MINUTE,
  NEW,
  NOW,
  OLD,
  outcome,
  override,
  RELEASE_REF,
  recordsOf,
  TIP,
  unfreeze,
  ZEROS,
} from './build.ts'

const stateOf = (...entries: (Entry | Entry[])[]) => foldState(recordsOf(entries))
const policy = (version: number) =>
  entry('policy', TIP, {
    version,
    policy: { text: 'version: 1', digest: { sha256: '0'.repeat(64) } },
    allowedSigners: { text: '', digest: { sha256: '0'.repeat(64) } },
    sealKey: 'ssh-ed25519 AAAA',
  })

describe('the folded state', () => {
  test('of an empty ledger is empty', () => {
    expect(stateOf()).toEqual(emptyState)
  })

  test('is not changed by what only decisions about a commit need', () => {
    expect(stateOf(evidence(NEW), approval(), override(['evidence']), invalidation(NEW))).toEqual(emptyState)
  })

  test('knows every policy that was in force, the last one last', () => {
    expect(stateOf(policy(1), evidence(NEW), policy(2)).policies).toEqual([
      { version: 1, seq: 1 },
      { version: 2, seq: 3 },
    ])
  })

  test('lists an authorization as open until it has an outcome', () => {
    const open = stateOf(authorization({ from: OLD, to: NEW, at: NOW }))
    expect(open).toEqual({
      ...emptyState,
      open: [
        {
          seq: 1,
          kind: 'promotion',
          ref: RELEASE_REF,
          from: OLD,
          to: NEW,
          fastForward: true,
          at: iso(NOW),
          by: 'alice',
        },
      ],
    })
    expect(stateOf(authorization({ from: OLD, to: NEW }), outcome(NEW, 'not-landed'))).toEqual(emptyState)
  })

  test('knows the last landed move of each ref, from when it landed, and counts them by kind', () => {
    const {
      landed: last,
      counts,
      open,
    } = stateOf(
      firstRelease(),
      landed({ from: OLD, to: NEW, at: NOW - HOUR }),
      landed({ from: ZEROS, to: TIP, ref: 'refs/heads/other', at: NOW }),
    )
    expect(open).toEqual([])
    expect(counts).toEqual({ bootstrap: 1, promotion: 2 })
    expect(last).toEqual({
      [RELEASE_REF]: {
        seq: 3,
        kind: 'promotion',
        ref: RELEASE_REF,
        from: OLD,
        to: NEW,
        fastForward: true,
        at: iso(NOW - HOUR + 10),
        by: 'alice',
      },
      'refs/heads/other': expect.objectContaining({ seq: 5, to: TIP }),
    })
  })

  test('closes the authorization that the outcome names, not the last one', () => {
    const { open, landed: last } = stateOf(
      authorization({ from: OLD, to: NEW }),
      authorization({ from: OLD, to: TIP }),
      outcome(NEW, 'landed', { authorization: 1 }),
    )
    expect(open.map(({ seq }) => seq)).toEqual([2])
    expect(last[RELEASE_REF]?.to).toBe(NEW)
  })

  test.for([
    ['for an authorization that was never made', [outcome(NEW, 'landed', { authorization: 7 })]],
    [
      'for one that is closed already',
      [
        authorization({ from: OLD, to: NEW }),
        outcome(NEW, 'not-landed'),
        outcome(NEW, 'landed', { authorization: 1 }),
      ],
    ],
    [
      'that stands before its authorization',
      [
        outcome(NEW, 'landed', { authorization: 2 }),
        authorization({ from: OLD, to: NEW }),
        outcome(NEW, 'not-landed', { authorization: 2 }),
      ],
    ],
  ] as [string, Entry[]][])('ignores an outcome %s', ([, entries]) => {
    expect(stateOf(...entries)).toEqual(emptyState)
  })
})

describe('a bar', () => {
  const back = { from: NEW, to: OLD, fastForward: false }

  test('stands against the commit that was rolled back from, since the rollback landed', () => {
    expect(stateOf(landed({ ...back, at: NOW })).bars).toEqual([{ commit: NEW, seq: 2, at: iso(NOW + 10) }])
  })

  test('is raised by an override that goes back, too', () => {
    expect(stateOf(landed({ ...back, kind: 'override' })).bars).toHaveLength(1)
  })

  test('stands once for a commit, by its latest rollback', () => {
    const { bars } = stateOf(landed(back), landed({ from: OLD, to: NEW }), landed({ ...back, at: NOW }))
    expect(bars).toEqual([{ commit: NEW, seq: 6, at: iso(NOW + 10) }])
  })

  test.for([
    ['a promotion', landed({ from: OLD, to: NEW })],
    ['a creation', landed({ from: ZEROS, to: NEW, fastForward: false })],
    ['a rollback that did not land', [authorization(back), outcome(OLD, 'not-landed')]],
    ['a rollback that is still open', [authorization(back)]],
    ['a drift', [driftNote(NEW, OLD)]],
  ] as [string, Entry[]][])('is not raised by %s', ([, entries]) => {
    expect(stateOf(...entries).bars).toEqual([])
  })
})

test('a move that is on disk counts as its outcome will, one that is not stays open', () => {
  const open = [
    firstRelease(),
    landed({ from: OLD, to: NEW }),
    authorization({ from: NEW, to: OLD, fastForward: false }),
  ]
  const before = stateOf(...open)
  const seq = before.open[0]?.seq ?? 0
  const after = outcome(OLD, 'landed', { at: NOW })
  const recorded = stateOf(...open, after)
  const at = iso(NOW)
  expect(withLanded(before, new Map([[RELEASE_REF, OLD]]), seq, at)).toEqual(recorded)
  expect(recorded.bars).toMatchObject([{ commit: NEW }])
  expect(withLanded(before, new Map([[RELEASE_REF, NEW]]), 0, at)).toEqual(before)
  expect(withLanded(before, new Map(), 0, at)).toEqual(before)
})

describe('a drift note', () => {
  test('puts release where it was found', () => {
    expect(stateOf(firstRelease(), driftNote(OLD, TIP)).landed[RELEASE_REF]).toMatchObject({
      kind: 'drift',
      seq: 3,
      from: OLD,
      to: TIP,
      by: 'bob',
    })
  })

  test('about a deletion leaves no release', () => {
    expect(stateOf(firstRelease(), driftNote(OLD, ZEROS)).landed).toEqual({})
  })

  test('is no move: it is not counted', () => {
    expect(stateOf(driftNote(ZEROS, TIP)).counts).toEqual({})
  })
})

describe('a freeze', () => {
  const until = (state: ReturnType<typeof stateOf>) => state.freeze?.until ?? null

  test('is in force until its end, exclusively', () => {
    const state = stateOf(freeze({ issuedAt: NOW - HOUR, until: NOW }))
    expect(frozenAt(state, NOW - 1)).toMatchObject({ reason: 'sale weekend', seq: 1 })
    expect(frozenAt(state, NOW)).toBeNull()
    expect(frozenAt(emptyState, NOW)).toBeNull()
  })

  test('is replaced by what was signed later, whatever it says', () => {
    const state = stateOf(freeze({ issuedAt: NOW - HOUR }), unfreeze({ issuedAt: NOW - MINUTE }))
    expect(frozenAt(state, NOW)).toBeNull()
  })

  test('is not touched by what was signed earlier and arrives late', () => {
    const state = stateOf(
      freeze({ issuedAt: NOW - HOUR, until: NOW + HOUR }),
      freeze({ issuedAt: NOW - 2 * HOUR, until: NOW + 9 * HOUR, at: NOW }),
      unfreeze({ issuedAt: NOW - 2 * HOUR, at: NOW }),
    )
    expect(until(state)).toBe(iso(NOW + HOUR))
  })

  test('compares moments, not texts: offsets make no difference', () => {
    const later = entry('freeze', OLD, {
      until: '2026-03-02T18:00:00+02:00',
      reason: 'sale',
      issuedAt: '2026-03-02T09:00:00-02:00',
    })
    const state = stateOf(freeze({ issuedAt: Date.parse('2026-03-02T10:00:00Z'), until: NOW }), later)
    expect(frozenAt(state, Date.parse('2026-03-02T15:59:59Z'))).not.toBeNull()
    expect(frozenAt(state, Date.parse('2026-03-02T16:00:00Z'))).toBeNull()
  })
})

test('the folded state survives being written and read', () => {
  const state = stateOf(
    policy(1),
    firstRelease(),
    landed({ from: OLD, to: NEW }),
    landed({ from: NEW, to: OLD, fastForward: false }),
    freeze(),
    authorization({ from: OLD, to: TIP }),
  )
  expect(ledgerStateSchema.parse(JSON.parse(JSON.stringify(state)))).toEqual(state)
})
