import { test, expect } from 'vitest'
import { TestRepository } from '../make-repository.ts'
test('x', () => {
  let t=Date.now(); const lap=(s:string)=>{console.log(s, Date.now()-t); t=Date.now()}
  const r = new TestRepository(); lap('new')
  const c = r.release('one'); lap('release')
  console.log(r.push('HEAD:refs/heads/other').all); lap('unguarded')
  r.commit('two'); lap('commit')
  console.log(r.push('HEAD:release').all); lap('refused')
  console.log(r.ledgerSubjects())
  console.log(r.server('config','--list','--local'))
  r.remove()
})
