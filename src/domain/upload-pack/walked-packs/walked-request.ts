import { requireReferenceSettings } from '#domain/git-service/reference-settings';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { type CommitSource, requireNotGrafted } from '#git/history/graph/commit-nodes';
import { OID_DIGITS } from '#git/names/object-id';
import { tagTarget } from '#git/objects/parse/tag-target';
import type { Repository } from '#storage/repository';
import type { Fetch } from '../fetch.ts';
import { type FetchArguments, parseArguments } from '../fetch-arguments.ts';
import type { FetchRequest } from '../request-parser.ts';

/** A request whose objects are found by walking. */
export interface WalkedRequest {
  readonly given: FetchArguments;
  readonly nodes: CommitSource;
  readonly wants: readonly string[];
}

/** The ids in a request by their types; tags lead to the others. */
export interface NamedObjects {
  readonly commits: ReadonlySet<string>;
  readonly tags: ReadonlySet<string>;
  readonly trees: ReadonlySet<string>;
  readonly blobs: ReadonlySet<string>;
}

const OTHER_REQUEST = new FallBackToGit('only git understands the request');
const COMPRESSED = new FallBackToGit('packs have another compression');
const NOT_HERE = new FallBackToGit('a wanted object is missing');

/** Reads a request. @throws {FallBackToGit} if only git can serve it. */
export function walkedRequest(
  { config, repository }: Pick<Fetch, 'config' | 'repository'>,
  { others, wants }: FetchRequest,
): WalkedRequest {
  const given = parseArguments(others);
  if (given?.hasOffsets !== true) throw OTHER_REQUEST;
  const digits = OID_DIGITS[repository.objectFormat];
  const ids = [...wants, ...given.haves, ...given.shallow];
  if (!ids.every(({ length }) => length === digits)) throw OTHER_REQUEST;
  const settings = requireReferenceSettings(repository, 'upload-pack', config);
  if (given.filter !== undefined && !settings.allowsFilter) throw OTHER_REQUEST;
  if (!settings.hasDefaultCompression) throw COMPRESSED;
  return { given, nodes: requireNotGrafted(repository.commits), wants };
}

/**
 * Returns those of some ids that the repository has.
 *
 * @throws {FallBackToGit} when that is not known; {GitalyError} of an abort.
 */
export async function existing(
  { objects }: Repository,
  oids: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const found: string[] = [];
  for (const oid of oids)
    if ((await objects.info(oid, { signal }).catch(fallBackOnFailure)) !== undefined) found.push(oid);
  return found;
}

/**
 * Sorts ids by type, and follows tags.
 *
 * @throws {FallBackToGit} when one is missing or unusual; {GitalyError} of an abort.
 */
export async function namedObjects(
  { objects }: Repository,
  oids: readonly string[],
  signal: AbortSignal,
): Promise<NamedObjects> {
  const named = { commit: new Set<string>(), tag: new Set<string>() };
  const files = { tree: new Set<string>(), blob: new Set<string>() };
  const all = { ...named, ...files };
  // It grows during the loop.
  const waiting = new Set(oids);
  for (const oid of waiting) {
    const info = await objects.info(oid, { signal }).catch(fallBackOnFailure);
    if (info === undefined) throw NOT_HERE;
    all[info.type].add(oid);
    if (info.type !== 'tag') continue;
    const { data } = await objects.readInProcess(oid, { signal });
    waiting.add(tagTarget(oid, data) ?? unusual());
  }
  return { commits: all.commit, tags: all.tag, trees: all.tree, blobs: all.blob };
}

function unusual(): never {
  throw new FallBackToGit('a tag is unusual');
}
