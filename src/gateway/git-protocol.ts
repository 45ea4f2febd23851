/**
 * Returns the protocol version requested by a `Git-Protocol` header, in the form for Gitaly:
 * `version=1`, `version=2` or empty. Clients may send several keys, separated by colons; as in git,
 * the highest version is used and unknown keys are ignored.
 */
export function gitProtocol(header: string | string[] | undefined): string {
  const text = Array.isArray(header) ? header.join(':') : (header ?? '');
  const keys = text.split(':').map((key) => key.trim());
  return ['version=2', 'version=1'].find((version) => keys.includes(version)) ?? '';
}
