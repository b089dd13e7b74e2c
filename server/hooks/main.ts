/** What a shell hook starts where no service answers. */
import './require-node.ts'
import { decideHook } from './embedded.ts'

decideHook()
