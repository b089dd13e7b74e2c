/** What the hook that decides by itself loads when no earlier hook has read the policy in force. */
export { parsePolicy } from '../src/core/policy-yaml.ts'
export { VERSION } from '../src/core/version.ts'
