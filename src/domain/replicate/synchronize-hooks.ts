import { readdir } from 'node:fs/promises';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import { HOOKS_NAME, setHooks } from '../custom-hooks/set-hooks.ts';

/** A tar archive of the source's hooks that has been requested. */
export interface HooksArchive {
  /** First piece of the archive; `undefined` if there are no hooks. */
  readonly first: Promise<IteratorResult<Uint8Array>>;
  readonly rest: AsyncIterable<Uint8Array>;
}

/**
 * Gives a repository the custom hooks of the source; a directory for them exists afterwards in any
 * case. Nothing is written if there are none on both sides, unless a cluster votes on it.
 */
export async function synchronizeHooks(
  repository: Repository,
  archive: HooksArchive,
  { vote, signal }: { readonly vote: Vote | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const first = await archive.first;
  const isNone = first.done === true;
  if (isNone && vote === undefined && (await hasNoHooks(repository))) return;
  await setHooks(repository, isNone ? nothing() : joined(first.value, archive.rest), { vote, signal });
}

async function hasNoHooks(repository: Repository): Promise<boolean> {
  const names = await readdir(`${repository.path}/${HOOKS_NAME}`).catch(() => undefined);
  return names?.length === 0;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* joined(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  yield* rest;
}
