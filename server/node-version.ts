/** The oldest Node that headgate is made for. Hooks start the one that ran the installation. */
const OLDEST_NODE = 24

/** What is wrong with a Node by its version, `v20.19.0`; null where nothing is. */
export function nodeComplaint(path: string, version: string): string | null {
  const major = Number(/^v(\d+)\./.exec(version)?.[1] ?? 0)
  return major >= OLDEST_NODE
    ? null
    : `${path} is Node ${version.replace(/^v/, '')}, and headgate needs ${OLDEST_NODE} or newer`
}
