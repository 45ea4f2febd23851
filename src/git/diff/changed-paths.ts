import { LoopSlice } from '#base/async/loop-turns';
import { flag, gitCommand } from '../command/git-command.ts';
import { FallBackToGit } from '../command/in-process.ts';
import { outputBytes } from '../command/output.ts';
import { parseNode } from '../history/graph/commit-nodes.ts';
import { EMPTY_TREE } from '../names/object-id.ts';
import type { ReadOptions } from '../objects/object-reader.ts';
import type { GitRepository } from '../repository.ts';
import type { OutputKind } from './diff-outputs.ts';
import { rawOfTrees } from './in-process/diff-trees.ts';
import { parseRawRecords, type RawRecord } from './parse/raw-records.ts';
import { onlyTreesMatter } from './plain-trees.ts';

/**
 * The compared objects: a commit with its parents or with other commits, or two trees; full ids.
 */
export type Comparison =
  | { readonly commit: string; readonly parents: readonly string[] }
  | { readonly trees: readonly [string, string] };

export interface ChangedPathsQuery {
  readonly comparisons: readonly Comparison[];
  /** Letters of the listed kinds of change, as for `--diff-filter`. */
  readonly filter: string;
  /** Finds renames at 30 % similarity. */
  readonly findRenames: boolean;
  /**
   * Comparison of a merge: with each parent in turn, with all at once (only what differs from all),
   * or none.
   */
  readonly merges: 'each' | 'all' | 'none';
  readonly signal?: AbortSignal | undefined;
}

/** Limit of parents with which a merge is compared; others are rare. */
const MAX_PARENTS = 16;

const MERGE_FLAGS = { each: [flag('-m')], all: [flag('-c')], none: [] } as const;

/**
 * Maximum length of comparisons whose output is kept: some pages compare hundreds of commits once.
 */
const MAX_KEPT_LENGTH = 1_000;

/**
 * Lists the changes of comparisons, in their order, with one process; with none if git has listed
 * them in the last minutes. @throws {GitExitError} when git fails.
 */
export async function* changedPaths(
  repository: GitRepository,
  query: ChangedPathsQuery,
): AsyncGenerator<RawRecord[]> {
  const lines = query.comparisons.map((comparison) =>
    ('commit' in comparison ? [comparison.commit, ...comparison.parents] : comparison.trees).join(' '),
  );
  const kind = await keptKind(repository, lines, query);
  if (kind === undefined) {
    yield* parseRawRecords(outputOfGit(repository, lines, query));
    return;
  }
  yield* parseRawRecords(
    repository.diffOutputs.read(repository, kind, {
      question: 'changed_files',
      compare: () => outputInProcess(repository, query, kind.trees.attributes),
      askGit: async function* (until) {
        yield* outputOfGit(repository, lines, { ...query, signal: until });
        return true;
      },
      signal: query.signal ?? new AbortController().signal,
    }),
  );
}

/** @throws {FallBackToGit} as {@link rawOfTrees} and {@link pairsOf}. */
async function outputInProcess(
  repository: GitRepository,
  query: ChangedPathsQuery,
  attributes: string,
): Promise<Buffer> {
  const { comparisons, filter, findRenames, merges, signal } = query;
  const renames = findRenames ? { minimum: 30, attributes } : undefined;
  const options = { signal };
  const isNamed = namesCommits(query);
  const slice = new LoopSlice();
  const pieces: Buffer[] = [];
  for (const comparison of comparisons) {
    for (const [old, now] of await pairsOf(repository, comparison, { merges, ...options })) {
      const trees = {
        before: await treeOf(repository, old, options),
        after: await treeOf(repository, now, options),
      };
      const records = await rawOfTrees(repository, trees, { filter, renames, ...options });
      if (records.length > 0 && isNamed && 'commit' in comparison)
        pieces.push(Buffer.from(`${comparison.commit}\0`));
      pieces.push(records);
      await slice.pause(signal);
    }
  }
  return Buffer.concat(pieces);
}

/**
 * Returns the commits or trees that git compares in turn.
 *
 * @throws {FallBackToGit} for the comparison of a commit with all of several commits at once, and
 *   an unusual commit.
 */
async function pairsOf(
  repository: GitRepository,
  comparison: Comparison,
  { merges, ...options }: Pick<ChangedPathsQuery, 'merges'> & ReadOptions,
): Promise<(readonly [string, string])[]> {
  if ('trees' in comparison) return [comparison.trees];
  const { commit, parents: named } = comparison;
  const parents = named.length > 0 ? named : await parentsOf(repository, commit, options);
  if (parents.length > 1 && (merges === 'all' || parents.length > MAX_PARENTS))
    throw new FallBackToGit('a commit is compared with several at once');
  if (parents.length > 1 && merges === 'none') return [];
  return (parents.length > 0 ? parents : [EMPTY_TREE[repository.objectFormat]]).map((parent) => [
    parent,
    commit,
  ]);
}

async function parentsOf(
  { objects }: GitRepository,
  commit: string,
  options: ReadOptions,
): Promise<readonly string[]> {
  const { type, data } = await objects.readInProcess(commit, options);
  const node = type === 'commit' ? parseNode(commit, data) : undefined;
  if (node === undefined) throw new FallBackToGit('a commit is unusual');
  return node.parents;
}

async function treeOf(
  { objects, objectFormat }: GitRepository,
  name: string,
  options: ReadOptions,
): Promise<string> {
  if (name === EMPTY_TREE[objectFormat]) return name; // git has it everywhere
  const tree = await objects.info(`${name}^{tree}`, options);
  if (tree === undefined) throw new FallBackToGit('a tree is missing');
  return tree.oid;
}

/** Reports whether the output names the commits. */
function namesCommits({ comparisons }: Pick<ChangedPathsQuery, 'comparisons'>): boolean {
  return comparisons.every((comparison) => 'commit' in comparison);
}

function outputOfGit(
  repository: GitRepository,
  lines: readonly string[],
  { comparisons, filter, findRenames, merges, signal }: ChangedPathsQuery,
): AsyncGenerator<Buffer, void, undefined> {
  const options = [
    flag('-z'),
    flag('--stdin'),
    flag('-r'),
    flag('--root'),
    flag(`--diff-filter=${filter}`),
    ...(namesCommits({ comparisons }) ? [] : [flag('--no-commit-id')]),
    flag(findRenames ? '--find-renames=30%' : '--no-renames'),
    ...MERGE_FLAGS[merges],
  ];
  const input = Buffer.from(`${lines.join('\n')}\n`);
  return outputBytes(repository, gitCommand('diff-tree', { options }), { signal, input });
}

/**
 * Returns the name under which the output is kept, if only the comparisons and the attributes of
 * HEAD (which affect renames) determine it. Returns `undefined` otherwise, and if a tree is
 * missing, so that git reports the error.
 */
async function keptKind(
  repository: GitRepository,
  lines: readonly string[],
  { filter, findRenames, merges, signal }: ChangedPathsQuery,
): Promise<OutputKind | undefined> {
  const key = lines.join(';');
  if (key.length > MAX_KEPT_LENGTH || !onlyTreesMatter(repository)) return undefined;
  const names = ['HEAD', ...lines.flatMap((line) => line.split(' '))];
  const [head, ...compared] = await Promise.all(
    names.map((name) => repository.objects.info(`${name}^{tree}`, { ...(signal && { signal }) })),
  );
  if (head === undefined || compared.includes(undefined)) return undefined;
  const trees = { before: key, after: '', attributes: head.oid };
  return { name: `changed ${filter} ${findRenames} ${merges}`, trees };
}
