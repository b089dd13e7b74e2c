/** What `headgate promote` says, and what it asks. */

import { branchNowWords } from '../../app/release/finish-promotion.ts'
import {
  NOTE_WANTED,
  type PromoteEvent,
  type PromoteQuestion,
  type PromotingOperator,
} from '../../app/release/promote.ts'
import { explainRef } from '../../core/explain.ts'
import { shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { ask, canAsk, confirm, requireConsent } from '../ask.ts'
import { colour } from '../output.ts'
import { type Line, notes, results } from './lines.ts'
import { promotionPlanWords } from './promotion-plan.ts'
import { interruptibleOperation, rollbackLines } from './rollback.ts'

export const promotingOperator: PromotingOperator = {
  consent: (question) => requireConsent(questionWords(question)),
  interruptible: interruptibleOperation,
  note: async () => (canAsk() ? ask('What goes out, and why? In a line:') : ''),
  goBack: async (to) => canAsk() && confirm(`Roll back to ${shortOid(to)} now?`),
}

function questionWords(question: PromoteQuestion): string {
  return question.kind === 'promote'
    ? `Move ${question.branch} to ${shortOid(question.commit)}?`
    : 'Wait for production, test it, and write it down?'
}

export function promoteLines(event: PromoteEvent): readonly Line[] {
  switch (event.kind) {
    case 'promotion-resumed': {
      const { to, kind, by } = event.move
      const whose = `${kind} by ${printable(by, 60)}`
      return notes(`${event.branch} is at ${shortOid(to)} already (${whose}): going on from there`)
    }
    case 'words-too-late':
      return notes('remark: --note and --plan belong to the push, which has been made')
    case 'objections-ignored':
      return notes(
        'remark: enforcement: evaluate refuses nothing, but these rules object:',
        ...explainRef(event.report),
      )
    case 'note-missing':
      return notes(`remark: ${NOTE_WANTED}: --note TEXT`)
    case 'promotion-planned':
      return notes(...promotionPlanWords(event.plan))
    case 'promoted': {
      const at = `${event.branch} is at ${shortOid(event.commit)}`
      return [
        ...(event.byOther ? notes(`${at}: somebody else was as fast`) : []),
        ...results(`${colour('green', 'promoted')}: ${at}`),
      ]
    }
    case 'released': {
      const how = event.tested ? 'production serves it and passed its smoke test' : 'not tested'
      return results(`${colour('green', 'done')}: ${shortOid(event.commit)} is released; ${how}`)
    }
    case 'released-and-moved-on': {
      const was = `${shortOid(event.commit)} was released`
      return results(`${colour('green', 'done')}: ${was}; ${branchNowWords(event.now)} by now`)
    }
    case 'production-failed': {
      const stars = '*'.repeat(71)
      const text = `PRODUCTION SMOKE FAILED for ${shortOid(event.commit)}, which ${event.branch} is at now`
      return notes(...[stars, text, stars].map((line) => colour('red', line, process.stderr)))
    }
    case 'log-failed':
      return notes(`remark: ${event.message}`)
    case 'no-way-back':
      return results('there is no known-good release to go back to: promote a fix')
    case 'way-back':
      return results('the way back to the last known-good release:', `  ${event.command}`)
    default:
      return rollbackLines(event)
  }
}
