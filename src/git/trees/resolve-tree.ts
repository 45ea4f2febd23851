import { codeOf, GitalyError } from '#base/gitaly-error';
import { flag, gitCommand } from '../command/git-command.ts';
import { abortError, GitExitError } from '../command/process/exit-error.ts';
import { isOid } from '../names/object-id.ts';
import type { ObjectInfo, RawObject } from '../names/object-info.ts';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import type { GitRepository } from '../repository.ts';

/** Result of a search for a tree. */
export type ResolvedTree =
  | { readonly kind: 'tree'; readonly tree: RawObject }
  /** Another object. */
  | { readonly kind: 'other'; readonly object: ObjectInfo }
  /** The name is valid, but the object is missing: a submodule, or a damaged repository. */
  | { readonly kind: 'absent'; readonly oid: string }
  /** git finds no such name. */
  | { readonly kind: 'unknown' };

export interface ResolveTreeOptions extends ReadOptions {
  /**
   * Accepts the name of any object that has a tree: a commit, a tag. An object without one is then
   * `absent`.
   */
  readonly peel?: boolean;
}

const PEEL_TREE = Buffer.from('^{tree}');
/** Limit of a tree object: a million entries. */
const MAX_TREE_BYTES = 64 * 1024 * 1024;

/**
 * Finds the tree of an object's name (`main:docs`, `main^{tree}`), as `git rev-parse --verify` and
 * reading the object do. One round trip to a running process; git is started only if that finds
 * nothing.
 *
 * @throws {GitalyError} without a code for words that git must not receive (NUL, a leading dash);
 *   CANCELLED or DEADLINE_EXCEEDED.
 */
export async function resolveTree(
  repository: GitRepository,
  name: Buffer,
  { peel = false, signal }: ResolveTreeOptions = {},
): Promise<ResolvedTree> {
  const read = (named: Buffer): Promise<RawObject | undefined> =>
    readOrUndefined(repository.objects, peel ? Buffer.concat([named, PEEL_TREE]) : named, signal);
  const found = name.includes(0) ? undefined : await read(name);
  if (found !== undefined) return asResult(found);
  const oid = await revParse(repository, name, signal);
  if (oid === undefined) return { kind: 'unknown' };
  const object = isOid(oid) ? await read(Buffer.from(oid)) : undefined;
  return object === undefined ? { kind: 'absent', oid } : asResult(object);
}

function asResult(object: RawObject): ResolvedTree {
  return object.type === 'tree' ? { kind: 'tree', tree: object } : { kind: 'other', object };
}

/**
 * Reads an object; `undefined` also where that fails without a code: some names kill `cat-file` or
 * are ambiguous to it, and rev-parse decides about them.
 */
async function readOrUndefined(
  objects: ObjectReader,
  name: Buffer,
  signal: AbortSignal | undefined,
): Promise<RawObject | undefined> {
  try {
    return await objects.readObject(name, { signal, maxBytes: MAX_TREE_BYTES });
  } catch (error) {
    const isOfGit = error instanceof GitalyError || error instanceof GitExitError;
    if (!isOfGit || codeOf(error) !== undefined) throw error;
    return undefined;
  }
}

/**
 * Returns the object id that git prints for a name, with a leading `^` for `^main`; `undefined` if
 * it does not name one object.
 */
async function revParse(
  repository: GitRepository,
  name: Buffer,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const command = gitCommand('rev-parse', { options: [flag('--verify')], revisions: [name] });
  try {
    return (await repository.run(command, { signal })).toString('latin1').trim();
  } catch (error) {
    if (signal?.aborted === true) throw abortError(signal);
    if (error instanceof GitExitError) return undefined;
    throw error;
  }
}
