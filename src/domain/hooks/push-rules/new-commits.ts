import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import { isZeroOid } from '#git/names/object-id';
import { fitsPattern } from '#tokens/pattern';
import type { PushChange, PushChanges } from './push-changes.ts';

/** git may take this long to list what is new in a push. */
export const MAX_CPU_SECONDS = 30;
const NUL = 0;
const INDENT = /^ {4}/gm;

/** HEAD before a push. */
export interface PushedHead {
  /** `undefined` if it leads to no commit. */
  readonly oid: string | undefined;
  /** The reference that it names. */
  readonly reference: string;
}

export async function headOf({ repository: { refs }, signal }: PushChanges): Promise<PushedHead> {
  const { oid } = (await refs.resolve('HEAD', { signal })) ?? {};
  const { symbolicTarget } = await refs.head({ signal });
  return { oid, reference: symbolicTarget?.toString() ?? 'HEAD' };
}

/**
 * Returns the commits that are not new in a change, as revisions: the old value, and HEAD if the
 * same rule applies to it or the reference is new.
 *
 * @param on pattern of the rule.
 */
export function knownCommits(head: PushedHead, { oldOid }: PushChange, on: string): readonly string[] {
  const isNew = isZeroOid(oldOid);
  const knowsHead = head.oid !== undefined && (isNew || fitsPattern(on, head.reference));
  return [...(isNew ? [] : [`^${oldOid}`]), ...(knowsHead ? [`^${head.oid}`] : [])];
}

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
