import type { ObjectReader } from '../objects/object-reader.ts';

/** Full names and short ones, without any of the characters that mean something in a revision. */
const NAME = /^\w[\w./-]*$/;
/** May be a short id, alone or as `git describe` prints it; what it names depends on what is asked. */
const MAYBE_SHORT_ID = /(?:^|-g)[0-9a-f]{4,}$/i;

/** Whether a revision means the same to every command of git: a full id, or a plain name. */
export function isPlainRevision(revision: string, objectFormat: 'sha1' | 'sha256'): boolean {
  if (/^[0-9a-f]+$/.test(revision) && revision.length === (objectFormat === 'sha1' ? 40 : 64)) return true;
  return NAME.test(revision) && !MAYBE_SHORT_ID.test(revision) && !revision.includes('..');
}

/** The ids of the commits that plain revisions lead to, tags peeled; `undefined` where there is none. All are asked for at once. */
export async function resolveCommits(
  objects: ObjectReader,
  revisions: readonly string[],
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<(string | undefined)[]> {
  return await Promise.all(revisions.map(async (revision) => (await objects.info(`${revision}^{commit}`, { signal }))?.oid));
}
