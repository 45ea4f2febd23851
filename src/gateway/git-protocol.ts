/**
 * The protocol version that a `Git-Protocol` header asks for, in the form that Gitaly takes: `version=1`, `version=2` or empty.
 * Clients may send more than one key, separated by colons; as in git, the highest version wins and unknown keys do not matter.
 */
export function gitProtocol(header: string | string[] | undefined): string {
  const text = Array.isArray(header) ? header.join(':') : (header ?? '');
  const keys = text.split(':').map((key) => key.trim());
  return ['version=2', 'version=1'].find((version) => keys.includes(version)) ?? '';
}
