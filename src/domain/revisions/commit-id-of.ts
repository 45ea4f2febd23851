import { quote } from '#base/go/quote';
import type { Repository } from '#storage/repository';

const PEEL = Buffer.from('^{commit}');
const DASH = 0x2d;

export interface SignalOption {
  readonly signal: AbortSignal;
}

/**
 * Returns the id of the commit at a revision; `undefined` if there is none, and for text that git
 * would read as an option.
 */
export async function commitIdOf(
  repository: Repository,
  revision: Uint8Array | string,
  { signal }: SignalOption,
): Promise<string | undefined> {
  const peeled = peel(revision);
  if (peeled[0] === DASH) return undefined;
  return (await repository.objects.info(peeled, { signal }))?.oid;
}

/** Returns Gitaly's explanation for a revision that does not lead to a commit. */
export function whyNoCommit(revision: Uint8Array | string): string {
  const peeled = peel(revision);
  if (peeled[0] !== DASH) return 'reference not found';
  return `positional arg ${quote(peeled)} cannot start with dash '-': invalid argument`;
}

function peel(revision: Uint8Array | string): Buffer {
  return Buffer.concat([Buffer.from(revision), PEEL]);
}

/** Returns the id of the commit at a reference; `undefined` if there is none. */
export async function tipOf(
  repository: Repository,
  reference: Buffer,
  options: SignalOption,
): Promise<string | undefined> {
  return reference.includes(0) ? undefined : await commitIdOf(repository, reference, options);
}
