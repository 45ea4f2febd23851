import { FallBackToGit, fallBackOnFailure } from '../in-process.ts';
import { isOid, SHORT_OID_SOURCE } from '../objects/object-id.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import type { ObjectFormatName } from '../repository-format.ts';

/** Matches full and short names, and ancestors by number (`main~20`, `main^2`). */
const NAME = /^(\w[\w./-]*)(?:[~^]\d{0,4})*$/;
/**
 * Matches a possible short id, alone or in the format of `git describe`; its meaning depends on the
 * command.
 */
const MAYBE_SHORT_ID = new RegExp(`(?:^|-[gG])${SHORT_OID_SOURCE}$`);

/**
 * Returns normally if {@link isPlainRevision} holds for all revisions. @throws {FallBackToGit} for
 * others.
 */
export function requirePlainRevisions(revisions: readonly string[], objectFormat: ObjectFormatName): void {
  if (!revisions.every((revision) => isPlainRevision(revision, objectFormat)))
    throw new FallBackToGit('a revision is neither a full id nor a plain name');
}

/**
 * Reports whether a revision means the same to every command of git: full ids, plain names, and
 * their ancestors by number.
 */
export function isPlainRevision(revision: string, objectFormat: ObjectFormatName): boolean {
  const [, name] = NAME.exec(revision) ?? [];
  if (name === undefined || name.includes('..')) return false;
  return isOid(name, objectFormat) || !MAYBE_SHORT_ID.test(name);
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
