import type { Repository } from '#storage/repository';

/**
 * Refuses a parent that git would: it accepts a tag as a commit everywhere but there. The text is
 * that of `git commit-tree`.
 *
 * @param oid full id, of an object that need not exist.
 */
export async function requireParent(
  { objects }: Repository,
  oid: string,
  signal: AbortSignal,
): Promise<void> {
  const type = (await objects.info(oid, { signal }))?.type;
  if (type === 'commit') return;
  const what = type === undefined ? 'object' : "'commit' object";
  throw new Error(`commit-tree: exit status 128: fatal: ${oid} is not a valid ${what}\n `);
}
