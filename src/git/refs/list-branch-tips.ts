import { existsSync } from 'node:fs';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { askForBranchTips } from './ask-for-branch-tips.ts';
import type { BranchTip } from './branch-tip.ts';
import type { RefQuery } from './for-each-ref.ts';
import type { ListedRef } from './listed-ref.ts';
import { parsePlainCommit } from './parse-branch-tip.ts';
import { readRefObjects } from './read-ref-objects.ts';

export interface TipOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists references with their commits as `git for-each-ref` shows them (`.mailmap` not applied), in batches. What is plain is read with
 * cat-file, which is faster and does not wait for the end of the list; from the first reference on that leads to something unusual, and
 * where history is cut or grafted, git is asked.
 *
 * @throws {GitalyError} at once, for words that git must not see; {GitExitError} while iterating, when git fails.
 */
export function listBranchTips(
  git: Git,
  repository: GitRepository,
  query: RefQuery,
  options: TipOptions = {},
): AsyncGenerator<BranchTip[], void> {
  const ask = askForBranchTips(git, repository, query, options);
  const list = git.refs(repository).list(query, options);
  return isCut(repository) ? ask() : plainFirst(git, repository, { list, ask, ...options });
}

/** Whether parents of commits are not those that the commits name. */
function isCut({ path }: GitRepository): boolean {
  return existsSync(`${path}/shallow`) || existsSync(`${path}/info/grafts`);
}

interface Parts extends TipOptions {
  readonly list: AsyncIterable<ListedRef[]>;
  readonly ask: (after?: Buffer) => AsyncGenerator<BranchTip[], void>;
}

async function* plainFirst(git: Git, repository: GitRepository, { list, ask, signal }: Parts): AsyncGenerator<BranchTip[], void> {
  let last: Buffer | undefined;
  for await (const found of readRefObjects(git.objects(repository), list, { signal })) {
    const tips: BranchTip[] = [];
    let isPlain = true;
    for (const { item, type, data } of found) {
      const fields = type === 'commit' ? parsePlainCommit(data) : undefined;
      isPlain = fields !== undefined;
      if (fields === undefined) break;
      tips.push({ name: item.name, oid: item.oid, ...fields });
    }
    last = tips.at(-1)?.name ?? last;
    yield tips;
    if (isPlain) continue;
    yield* ask(last);
    return;
  }
}
