import { BoundedMap } from '#base/memory/bounded-map';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import type { Arg } from '#git/command/spawner/spawner';
import { isOidInAnyCase } from '#git/names/object-id';
import type { Tag } from '#git/objects/parse/parse-tag';
import type { ReadableRepository } from '#git/objects/readable-repository';
import type { ListedRef } from '../storage/listed-ref.ts';

/**
 * Limit of tags whose result is kept for one list: several references may have the same one, and
 * lead through the same ones.
 */
const MAX_KNOWN = 10_000;

interface Asked {
  readonly repository: ReadableRepository;
  readonly signal: AbortSignal | undefined;
}

/**
 * Returns the id of a revision; `undefined` if there is no such object. A full id is returned
 * whether such an object exists or not.
 */
export async function idOf({ repository, signal }: Asked, revision: Arg): Promise<string | undefined> {
  const text = Buffer.from(revision).toString('latin1');
  if (isOidInAnyCase(text, repository.objectFormat)) return text.toLowerCase();
  return (await repository.objects.info(revision, { signal }))?.oid;
}

/** Yields the ids of the targets of a tag object, from tag to tag. */
async function* tagTargets({ repository, signal }: Asked, oid: string): AsyncGenerator<string, void> {
  for (let at: string | undefined = oid; at !== undefined; ) {
    const tag: Tag | undefined = await repository.objects.readTag(at, { mailmap: false, signal });
    if (tag !== undefined) yield tag.targetOid;
    at = tag?.targetType === 'tag' ? tag.targetOid : undefined;
  }
}

/**
 * Returns a function that reports whether a tag object leads to one of some objects, from tag to
 * tag. The results are kept, so that thousands of tags, each of the one before, are read once.
 */
export function tagsLeadingTo(asked: Asked, wanted: ReadonlySet<string>): (oid: string) => Promise<boolean> {
  const known = new BoundedMap<string, boolean>({ maxEntries: MAX_KNOWN });
  return async (oid) => {
    const before = known.get(oid);
    if (before !== undefined) return before;
    const way = [oid];
    let isFound = false;
    for await (const target of tagTargets(asked, oid)) {
      const result = wanted.has(target) ? true : known.get(target);
      isFound = result === true;
      if (result !== undefined) break;
      way.push(target);
    }
    for (const each of way) known.set(each, isFound);
    return isFound;
  };
}

/**
 * Returns a function that selects the references that point at one of some objects, directly or
 * through tags. References need final targets. Tags are read only if one of the objects is a tag
 * with the same final target. The objects of references are not looked up.
 *
 * @throws {FallBackToGit} for revisions and objects that only git can read.
 */
export async function refsPointingAt(
  repository: ReadableRepository,
  revisions: readonly Arg[],
  signal: AbortSignal | undefined,
): Promise<(refs: readonly ListedRef[]) => Promise<ListedRef[]>> {
  const asked = { repository, signal };
  const targetsOf = (oid: string): Promise<string[]> =>
    Array.fromAsync(tagTargets(asked, oid)).catch(fallBackOnFailure);
  const wanted = new Set<string>();
  const endsOfTags = new Set<string>();
  for (const revision of revisions) {
    const oid = await idOf(asked, revision).catch(fallBackOnFailure);
    if (oid === undefined) throw new FallBackToGit('a revision is not found');
    wanted.add(oid);
    if ((await repository.objects.info(oid, { signal }).catch(fallBackOnFailure))?.type !== 'tag') continue;
    const end = (await targetsOf(oid)).at(-1);
    if (end !== undefined) endsOfTags.add(end);
  }

  const leadsToOne = tagsLeadingTo(asked, wanted);
  return async (refs) => {
    const found: ListedRef[] = [];
    for (const ref of refs) {
      const { oid, peeledOid = '' } = ref;
      const isHit = wanted.has(oid) || wanted.has(peeledOid);
      if (isHit || (endsOfTags.has(peeledOid) && (await leadsToOne(oid).catch(fallBackOnFailure))))
        found.push(ref);
    }
    return found;
  };
}
