import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output-lines';
import { isZeroOid } from '#git/names/object-id';
import { fitsPattern } from '#tokens/pattern';
import type { PushChange, PushChanges } from './push-changes.ts';

/** git may take this long to list what is new in a push. */
export const MAX_CPU_SECONDS = 30;
const NUL = 0;
const INDENT = /^ {4}/gm;

/**
 * Returns the commits that a change brings, as revisions: those to which neither the old value nor
 * HEAD leads. HEAD counts when the same rule applies to it, or the reference is new.
 *
 * @param on pattern of the rule.
 */
export async function newRevisions(
  { repository, signal }: PushChanges,
  { newOid, oldOid }: PushChange,
  on: string,
): Promise<readonly string[]> {
  const head = await repository.refs.resolve('HEAD', { signal });
  const isNew = isZeroOid(oldOid);
  const knowsHead = head !== undefined && (isNew || (await isOfHead(on, repository, signal)));
  return [newOid, ...(isNew ? [] : [`^${oldOid}`]), ...(knowsHead ? [`^${head.oid}`] : [])];
}

async function isOfHead(
  on: string,
  { refs }: PushChanges['repository'],
  signal: AbortSignal,
): Promise<boolean> {
  const { symbolicTarget } = await refs.head({ signal });
  return fitsPattern(on, symbolicTarget?.toString() ?? 'HEAD');
}

/** A new commit. */
export interface PushedCommit {
  readonly oid: string;
  readonly header: string;
  readonly message: string;
}

/** Yields the commits of revisions, the newest first. */
export async function* newCommits(
  { repository, signal }: PushChanges,
  revisions: readonly string[],
): AsyncGenerator<PushedCommit> {
  const command = gitCommand('rev-list', { options: [flag('--header')], revisions });
  const reading = { signal, delimiter: NUL, maxCpuSeconds: MAX_CPU_SECONDS };
  for await (const records of outputLines(repository, command, reading))
    for (const record of records) {
      const text = record.toString();
      if (text === '') continue;
      const end = text.indexOf('\n\n');
      const header = end === -1 ? text : text.slice(0, end);
      const message = end === -1 ? '' : text.slice(end + 2).replaceAll(INDENT, '');
      yield { oid: header.slice(0, header.indexOf('\n')), header, message };
    }
}
