/**
 * Returns the full name of a branch. The client's name is not interpreted: `refs/heads/main`
 * becomes `refs/heads/refs/heads/main`.
 */
export function branchReference(name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('refs/heads/'), name]);
}

/** Returns the full name of a tag. The client's name is not interpreted. */
export function tagReference(name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('refs/tags/'), name]);
}
