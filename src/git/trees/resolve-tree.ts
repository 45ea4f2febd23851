import { codeOf } from '#base/gitaly-error';
import { abortError, GitExitError } from '../command/exit-error.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import type { Git } from '../git.ts';
import type { ObjectInfo, RawObject } from '../objects/object-info.ts';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import type { GitRepository } from '../repository.ts';

/** What became of a search for a tree. */
export type ResolvedTree =
  | { readonly kind: 'tree'; readonly tree: RawObject }
  /** There is something else. */
  | { readonly kind: 'other'; readonly object: ObjectInfo }
  /** The name is good, but the object is not there: a submodule, or a hole in the repository. */
  | { readonly kind: 'absent'; readonly oid: string }
  /** Git knows no such name. */
  | { readonly kind: 'unknown' };

export interface ResolveTreeOptions extends ReadOptions {
  /** The name is of anything that has a tree: a commit, a tag. What has none is then `absent`. */
  readonly peel?: boolean;
}

const PEEL_TREE = Buffer.from('^{tree}');
/** Bytes of the largest tree object that is read: a million entries. */
const MAX_TREE_BYTES = 64 * 1024 * 1024;

/**
 * Finds the tree that a name of one object leads to (`main:docs`, `main^{tree}`), as `git rev-parse --verify` and reading the object do. One
 * round trip to a living process; git is started only when that finds nothing.
 *
 * @throws {GitalyError} without a code for words that git must not see (NUL, a dash in front); CANCELLED or DEADLINE_EXCEEDED.
 */
export async function resolveTree(
  git: Git,
  repository: GitRepository,
  name: Buffer,
  { peel = false, signal }: ResolveTreeOptions = {},
): Promise<ResolvedTree> {
  const read = (named: Buffer): Promise<RawObject | undefined> =>
    readOrUndefined(git.objects(repository), peel ? Buffer.concat([named, PEEL_TREE]) : named, signal);
  const found = name.includes(0) ? undefined : await read(name);
  if (found !== undefined) return asResult(found);
  const oid = await revParse(git, repository, name, signal);
  if (oid === undefined) return { kind: 'unknown' };
  const object = /^[0-9a-f]+$/.test(oid) ? await read(Buffer.from(oid)) : undefined;
  return object === undefined ? { kind: 'absent', oid } : asResult(object);
}

function asResult(object: RawObject): ResolvedTree {
  return object.type === 'tree' ? { kind: 'tree', tree: object } : { kind: 'other', object };
}

/** Some names kill the process that is asked, or are ambiguous to it; rev-parse has the last word on all of them. */
async function readOrUndefined(
  objects: ObjectReader,
  name: Buffer,
  signal: AbortSignal | undefined,
): Promise<RawObject | undefined> {
  try {
    return await objects.readObject(name, { signal, maxBytes: MAX_TREE_BYTES });
  } catch (error) {
    if (codeOf(error) !== undefined) throw error;
    return undefined;
  }
}

/** The object id that git prints for a name, which has a `^` in front for `^main`; `undefined` when it does not name one object. */
async function revParse(
  git: Git,
  repository: GitRepository,
  name: Buffer,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const command = gitCommand('rev-parse', { options: [flag('--verify')], revisions: [name] });
  try {
    return (await git.run(command, { repository, signal })).toString('latin1').trim();
  } catch (error) {
    if (signal?.aborted === true) throw abortError(signal);
    if (error instanceof GitExitError) return undefined;
    throw error;
  }
}
