/** A request of git-lfs for a repository. @see git-lfs: "Git LFS API" */
export type LfsCall =
  | { readonly kind: 'batch' }
  | { readonly kind: 'verify' }
  | { readonly kind: 'download' | 'upload'; readonly oid: string }
  | LockCall;

/** A request for locks. */
export type LockCall =
  | { readonly kind: 'lock' | 'locks' | 'verify-locks' }
  | { readonly kind: 'unlock'; readonly id: string };

/** Between the path of a repository and what is requested. */
const MARKER = '/info/lfs';
const OID = /^[0-9a-f]{64}$/;
const LOCK_ID = /^[\w-]{1,64}$/;

/** Splits a path at the part of LFS. @returns the repository's path and the rest. */
export function splitLfsPath(
  path: string,
): { readonly repository: string; readonly rest: string } | undefined {
  const at = `${path}/`.lastIndexOf(`${MARKER}/`);
  // A repository has a name of one character at least.
  if (at < 2) return undefined;
  return { repository: path.slice(1, at), rest: path.slice(at + MARKER.length + 1) };
}

/** Parses what is requested; `undefined` if there is no such address. */
export function parseLfsCall(method: string, rest: string): LfsCall | undefined {
  switch (`${method} ${rest}`) {
    case 'POST objects/batch':
      return { kind: 'batch' };
    case 'POST objects/verify':
      return { kind: 'verify' };
    case 'POST locks':
      return { kind: 'lock' };
    case 'GET locks':
      return { kind: 'locks' };
    case 'POST locks/verify':
      return { kind: 'verify-locks' };
  }
  const [first = '', second = '', third, ...others] = rest.split('/');
  if (others.length > 0) return undefined;
  if (method === 'POST' && first === 'locks' && third === 'unlock' && LOCK_ID.test(second))
    return { kind: 'unlock', id: second };
  if (first !== 'objects' || third !== undefined || !OID.test(second)) return undefined;
  if (method === 'GET' || method === 'HEAD') return { kind: 'download', oid: second };
  return method === 'PUT' ? { kind: 'upload', oid: second } : undefined;
}

/** Reports whether a request changes something, as far as its address shows. */
export function needsWrite({ kind }: LfsCall): boolean {
  return (
    kind === 'upload' || kind === 'verify' || kind === 'lock' || kind === 'verify-locks' || kind === 'unlock'
  );
}
