import { FallBackToGit, fallBackOnFailure } from '../in-process.ts';
import { isOid, SHORT_OID_SOURCE } from '../objects/object-id.ts';
import type { ObjectReader } from '../objects/object-reader.ts';

/** Matches full and short names without special characters of revisions. */
const NAME = /^\w[\w./-]*$/;
/**
 * Matches a possible short id, alone or in the format of `git describe`; its meaning depends on the
 * command.
 */
const MAYBE_SHORT_ID = new RegExp(`(?:^|-[gG])${SHORT_OID_SOURCE}$`);

/**
 * Returns normally for revisions that mean the same to every command of git: full ids and plain
 * names. @throws {FallBackToGit} for others.
 */
export function requirePlainRevisions(revisions: readonly string[], objectFormat: 'sha1' | 'sha256'): void {
  if (!revisions.every((revision) => isPlain(revision, objectFormat)))
    throw new FallBackToGit('a revision is neither a full id nor a plain name');
}

function isPlain(revision: string, objectFormat: 'sha1' | 'sha256'): boolean {
  if (isOid(revision, objectFormat)) return true;
  return NAME.test(revision) && !MAYBE_SHORT_ID.test(revision) && !revision.includes('..');
}

/**
 * Returns the ids of the commits of plain revisions, with tags peeled; `undefined` for missing
 * ones. All are requested at once. @throws {FallBackToGit} when one cannot be read.
 */
export async function resolveCommits(
  objects: ObjectReader,
  revisions: readonly string[],
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<(string | undefined)[]> {
  return await Promise.all(
    revisions.map(async (revision) => {
      const commit = await objects.info(`${revision}^{commit}`, { signal }).catch(fallBackOnFailure);
      return commit?.oid;
    }),
  );
}
