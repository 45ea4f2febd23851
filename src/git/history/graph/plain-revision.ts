import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { isOid, SHORT_OID_SOURCE } from '#git/names/object-id';
import type { ObjectReader } from '#git/objects/object-reader';
import type { GitRepository } from '#git/repository';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import type { RangeStart } from './walk-range.ts';

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

const MAX_REVISIONS = 16;
const RANGE = '..';

/**
 * Returns the commits that plain revisions, exclusions (`^name`) and ranges (`name..name`) begin
 * with, in git's order.
 *
 * @throws {FallBackToGit} for other revisions, for very many, and for missing commits.
 */
export async function resolveRange(
  { objects, objectFormat }: GitRepository,
  revisions: readonly string[],
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<RangeStart[]> {
  if (revisions.length > MAX_REVISIONS) throw new FallBackToGit('there are very many revisions');
  const sides = revisions.flatMap((revision) => sidesOf(revision));
  const names = sides.map(({ name }) => name);
  requirePlainRevisions(names, objectFormat);
  const oids = await resolveCommits(objects, names, options);
  return sides.map(({ isExcluded }, index) => {
    const oid = oids[index];
    if (oid === undefined) throw new FallBackToGit('there is no such commit');
    return { oid, isExcluded };
  });
}

function sidesOf(revision: string): { readonly name: string; readonly isExcluded: boolean }[] {
  if (revision.startsWith('^')) return [{ name: revision.slice(1), isExcluded: true }];
  const dots = revision.indexOf(RANGE);
  if (dots === -1) return [{ name: revision, isExcluded: false }];
  return [
    { name: revision.slice(0, dots), isExcluded: true },
    { name: revision.slice(dots + RANGE.length), isExcluded: false },
  ];
}
