import { isOidInAnyCase } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import type { SignalOption } from './commit-id-of.ts';

/**
 * Returns the id that a revision names, as `git rev-parse --verify` does: a full id names itself,
 * whether or not such an object exists.
 *
 * @returns `undefined` when it names nothing.
 */
export async function resolveRevision(
  repository: Repository,
  revision: Uint8Array,
  { signal }: SignalOption,
): Promise<string | undefined> {
  const text = Buffer.from(revision).toString('latin1');
  if (isOidInAnyCase(text, repository.objectFormat)) return text.toLowerCase();
  if (text.startsWith('-') || text.includes('\0')) return undefined;
  return (await repository.objects.info(revision, { signal }))?.oid;
}
