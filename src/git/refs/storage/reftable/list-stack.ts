import { LoopSlice } from '#base/async/loop-turns';
import { trustedRefName } from '#git/names/ref-name';
import { prefixesOf, selectByName } from '#git/names/ref-patterns';
import type { RefQuery } from '#git/refs/git/for-each-ref';
import { followRef } from '../follow-ref.ts';
import type { ListedRef } from '../listed-ref.ts';
import type { ListStoredOptions } from '../ref-storage.ts';
import type { StackRef } from './block.ts';
import type { Stack } from './stack.ts';

/**
 * Lists the references of a stack whose files are held, as `git for-each-ref` does, in batches,
 * with the targets of tag objects.
 *
 * @throws {FallBackToGit} when the rest of the list has to come from git; the reason of the signal.
 */
export async function* listStack(
  stack: Stack,
  { patterns, exclude = [] }: Pick<RefQuery, 'patterns' | 'exclude'>,
  { signal }: Pick<ListStoredOptions, 'signal'> = {},
): AsyncGenerator<ListedRef[], void> {
  const bytes = patterns.map((pattern) => Buffer.from(pattern));
  const matching = selectByName(bytes, { signal });
  const withoutExcluded =
    exclude.length === 0 ? undefined : selectByName(exclude, { isExcluding: true, signal });
  for (const { prefix, isWhole } of prefixesOf(bytes)) {
    for await (const refs of stackBatches(stack, prefix)) {
      const wanted = isWhole ? refs : await matching(refs);
      const kept = withoutExcluded === undefined ? wanted : await withoutExcluded(wanted);
      yield kept.flatMap((ref) => toListed(stack, ref) ?? []);
    }
  }
}

/**
 * Yields the references with a prefix in batches, and lets the event loop run between them.
 *
 * @throws {FallBackToGit} at a name that git does not accept.
 */
export async function* stackBatches(stack: Stack, prefix: Buffer): AsyncGenerator<StackRef[], void> {
  const slice = new LoopSlice();
  for (const refs of stack.batches(prefix)) {
    yield refs;
    await slice.pause();
  }
}

/** Follows a symbolic reference; `undefined` if it leads nowhere. */
function toListed(stack: Stack, { name, oid, peeledOid }: StackRef): ListedRef | undefined {
  if (oid !== undefined) return { name, oid, peeledOid, isPeelKnown: true };
  const end = followRef((at) => stack.read(at), trustedRefName(name)); // stackBatches has checked it
  if (end === undefined) return undefined;
  return { name, oid: end.oid, peeledOid: stack.find(end.name)?.peeledOid, isPeelKnown: true };
}
