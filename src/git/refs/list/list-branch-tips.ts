import { existsSync } from 'node:fs';
import { FallBackToGit } from '#git/command/in-process';
import type { GitRepository } from '#git/repository';
import { askForBranchTips } from '../git/ask-for-branch-tips.ts';
import type { RefQuery } from '../git/for-each-ref.ts';
import type { ListedRef } from '../storage/listed-ref.ts';
import type { BranchTip, KnownTip } from './branch-tip.ts';
import { parsePlainCommit } from './parse-branch-tip.ts';
import { readRefObjects, readUnknownRefObjects } from './read-ref-objects.ts';

export interface TipOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface UnknownTipOptions extends TipOptions {
  /** Reports whether the caller knows a commit: it is not read. Default: it knows none. */
  isKnown(oid: string): boolean;
}

/**
 * Lists references with their commits as `git for-each-ref` does (`.mailmap` not applied), in
 * batches. Plain commits are read with cat-file, which is faster and does not wait for the end of
 * the list; from the first reference on that leads to something unusual, and where history is
 * grafted or shallow, git lists them.
 *
 * @throws {GitalyError} at once, for words that git must not receive; {GitExitError} while
 *   iterating, when git fails.
 */
export function listBranchTips(
  repository: GitRepository,
  query: RefQuery,
  options?: TipOptions,
): AsyncGenerator<BranchTip[], void>;
export function listBranchTips(
  repository: GitRepository,
  query: RefQuery,
  options: UnknownTipOptions,
): AsyncGenerator<(BranchTip | KnownTip)[], void>;
export function listBranchTips(
  repository: GitRepository,
  query: RefQuery,
  options: TipOptions | UnknownTipOptions = {},
): AsyncGenerator<(BranchTip | KnownTip)[], void> {
  const ask = askForBranchTips(repository, query, options);
  const list = repository.refs.list(query, options);
  const progress: Progress = { last: undefined };
  const readPlain = () => readPlainTips(repository, list, options, progress);
  return repository.inProcess.attemptEach('branch_tips', readPlain, () => ask(progress.last));
}

interface Progress {
  /** Name of the last branch that was listed. */
  last: Buffer | undefined;
}

async function* readPlainTips(
  repository: GitRepository,
  list: AsyncGenerator<ListedRef[], void>,
  options: TipOptions | UnknownTipOptions,
  progress: Progress,
): AsyncGenerator<(BranchTip | KnownTip)[], void> {
  if (hasOtherParents(repository)) throw new FallBackToGit('history is grafted or shallow');
  const { objects } = repository;
  const read =
    'isKnown' in options
      ? readUnknownRefObjects(objects, list, options)
      : readRefObjects(objects, list, options);
  for await (const found of read) {
    const tips: (BranchTip | KnownTip)[] = [];
    let isPlain = true;
    for (const { item, type, data } of found) {
      if (data === undefined) {
        tips.push({ name: item.name, oid: item.oid });
        continue;
      }
      const fields = type === 'commit' ? parsePlainCommit(data) : undefined;
      isPlain = fields !== undefined;
      if (fields === undefined) break;
      tips.push({ name: item.name, oid: item.oid, ...fields });
    }
    progress.last = tips.at(-1)?.name ?? progress.last;
    yield tips;
    if (!isPlain) throw new FallBackToGit('a branch leads to no plain commit');
  }
}

/** Reports whether commits may have other parents than they name. */
export function hasOtherParents({ path }: GitRepository): boolean {
  return existsSync(`${path}/shallow`) || existsSync(`${path}/info/grafts`);
}
