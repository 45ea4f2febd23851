import { GitExitError } from '#git/command/process/exit-error';
import { parseRefName } from '#git/names/ref-name';
import type { Repository } from '#storage/repository';
import type { SignalOption } from './commit-id-of.ts';

/**
 * Returns the id that a reference leads to; `undefined` when there is none. A name that no
 * reference has is resolved as git resolves any revision.
 */
export async function resolveReference(
  repository: Repository,
  name: Buffer,
  { signal }: SignalOption,
): Promise<string | undefined> {
  const found = await repository.refs.resolve(name, { signal }).catch((error: unknown) => {
    // git reports a name that is too long, or a file without an id, as not found.
    if (!(error instanceof GitExitError)) throw error;
    return undefined;
  });
  if (found !== undefined) return found.oid;
  const checked = repository.knownObjectFormat && parseRefName(name);
  if (checked !== undefined && repository.refs.isCompletedNow(checked) === false) return undefined;
  return (await repository.objects.info(name, { signal }))?.oid;
}
