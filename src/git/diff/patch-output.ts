import { statSync } from 'node:fs';
import type { ConfigPair } from '../command/config.ts';
import { outputBytes } from '../command/output-bytes.ts';
import { readSettings } from '../config-file.ts';
import type { Git } from '../git.ts';
import type { RepositoryFormat } from '../object-format.ts';
import type { GitRepository } from '../repository.ts';
import { type PatchOptions, patchCommand, type Sides } from './commands.ts';
import { compareTrees, type TreePair } from './compare-trees.ts';

export interface PatchQuery extends PatchOptions {
  readonly sides: Sides;
}

interface OutputOptions {
  readonly signal: AbortSignal;
  readonly config: readonly ConfigPair[];
}

/**
 * What {@link patchCommand} prints, in the pieces in which it arrives. Most comparisons of commits are made by a process that waits for
 * them: the start of one takes four times as long as the comparison.
 *
 * @throws {GitalyError} for words that git must not see; the iteration throws as {@link outputBytes}, and CANCELLED or DEADLINE_EXCEEDED when aborted.
 */
export function patchOutput(
  git: Git,
  repository: GitRepository,
  query: PatchQuery,
  { signal, config }: OutputOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const command = patchCommand(query.sides, query);
  return output();

  async function* output(): AsyncGenerator<Buffer, void, undefined> {
    const trees = isPlain(git, repository, query) ? await treesOf(git, repository, query.sides, signal) : undefined;
    if (trees !== undefined && (yield* compareTrees(git, repository, trees, signal))) return;
    yield* outputBytes(git, repository, command, { signal, config });
  }
}

const ID = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;

/** Whether the trees of two commits are all there is to the question, for `git diff` and for the plumbing, which heeds fewer settings. */
function isPlain(git: Git, repository: GitRepository, { sides, wordDiff = false, ignoredSpace }: PatchQuery): boolean {
  const { left, right, paths = [] } = sides;
  if (wordDiff || ignoredSpace !== undefined || paths.length > 0 || !git.capabilities.attrTree) return false;
  if (typeof left !== 'string' || typeof right !== 'string' || !ID.test(left) || !ID.test(right)) return false;
  if (!git.settings('diff', { repository }).every(({ key }) => isNoMatterOfDiffs(key))) return false;
  // Read once by a process, and there is no other way to know of it.
  if (statSync(`${repository.path}/info/attributes`, { throwIfNoEntry: false }) !== undefined) return false;
  return hasPlainSettings(git.repositoryFormat(repository), repository);
}

/** By what a repository's `config` file says of its format: the same object for as long as the file is the same. */
const plainSettings = new WeakMap<RepositoryFormat, boolean>();

function hasPlainSettings(format: RepositoryFormat, repository: GitRepository): boolean {
  const known = plainSettings.get(format);
  if (known !== undefined) return known;
  const isPlainOnes = readSettings(repository)?.every(({ key }) => isNoMatterOfDiffs(key)) ?? false;
  plainSettings.set(format, isPlainOnes);
  return isPlainOnes;
}

/** What repositories have, and the server sets. Not among them: `diff`, `color`, `submodule`, `include`. */
const OTHER_SECTIONS = new Set(
  'attr branch core extensions fetch gc gitlab http maintenance midx pack receive reftable remote repack transfer uploadpack'.split(
    ' ',
  ),
);

function isNoMatterOfDiffs(key: string): boolean {
  return OTHER_SECTIONS.has(key.slice(0, key.indexOf('.')).toLowerCase());
}

/** `undefined` where something is missing: git says what. */
async function treesOf(
  git: Git,
  repository: GitRepository,
  { left, right }: Sides,
  signal: AbortSignal,
): Promise<TreePair | undefined> {
  const objects = git.objects(repository);
  const names = [`${left}^{tree}`, `${right}^{tree}`, 'HEAD^{tree}'];
  const [before, after, attributes] = await Promise.all(names.map((name) => objects.info(name, { signal })));
  if (before === undefined || after === undefined || attributes === undefined) return undefined;
  return { before: before.oid, after: after.oid, attributes: attributes.oid };
}
