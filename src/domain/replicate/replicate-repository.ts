import { readdir, readFile } from 'node:fs/promises';
import { codeOf, wrap, wrapped } from '#base/gitaly-error';
import { parseFormat, requireReferenceBackend } from '#git/repository-files/repository-format';
import { removeStaleLocks } from '#storage/leftovers/stale-locks';
import type { Vote } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { HOOKS_NAME, setHooks } from '../custom-hooks/set-hooks.ts';
import type { RemoteRepository } from '../remote/server/remote-repository.ts';
import { createFromSource, invalidSourceIn } from './create-from-source.ts';
import type { ReplicateOptions } from './replicate-options.ts';
import { requireSource } from './require-source.ts';
import { synchronizePool } from './synchronize-pool.ts';
import { synchronizeReferences } from './synchronize-references.ts';

/**
 * Makes a repository the copy of another one: references, objects, HEAD, configuration and custom
 * hooks. A missing or damaged one is created from a snapshot, and so is one whose references are
 * stored in another format than those of the source; otherwise only what differs is fetched. A
 * failure may leave the repository between its old and its new state; the next call continues.
 *
 * @throws {GitalyError} NOT_FOUND `invalid source repository`; `source reference backend: …`,
 *   `could not create repository from snapshot: …`, `replicating repository: …`.
 */
export async function replicateRepository(
  storages: Storages,
  target: RepositoryTarget,
  source: RemoteRepository,
  options: ReplicateOptions,
): Promise<void> {
  const config = whenUsed(source.config());
  await requireSource(source);
  await requireStorage(config);
  const existing = await usableTarget(openIfValid(storages, target), config);
  const repository =
    existing ??
    (await createFromSource(storages, target, source, options).catch((error: unknown) => {
      // Praefects recognize this text, and drop their record of the source.
      throw invalidSourceIn(error) ?? wrap(error, 'could not create repository from snapshot');
    }));
  if (existing !== undefined) options.onLocksRemoved(await removeStaleLocks(existing));
  const synchronizing = synchronize(storages, repository, source, {
    ...options,
    // Not older than the snapshot.
    config: existing === undefined ? source.config() : config,
  });
  await synchronizing.catch(wrapped('replicating repository'));
}

/** The error of RepositoryInfo, which Gitaly calls on the source. */
const UNKNOWN_STORAGE =
  'source reference backend: repository info: deriving repository info: ' +
  'checking references: reference backend';

/** Opens the target; `undefined` if it is not a repository. */
function openIfValid(storages: Storages, target: RepositoryTarget): Repository | undefined {
  try {
    return storages.open(target, { otherwise: 'INTERNAL' });
  } catch (error) {
    storages.locate(target); // throws for a path that cannot be a repository's
    const code = codeOf(error);
    if (code === 'NOT_FOUND' || code === 'FAILED_PRECONDITION' || code === 'INTERNAL') return undefined;
    throw error;
  }
}

/** Refuses a source whose configuration git does not accept: its copy would not be usable either. */
async function requireStorage(config: Promise<Buffer>): Promise<void> {
  const content = await config.catch(() => undefined);
  if (content === undefined) return;
  try {
    requireReferenceBackend(parseFormat(content.toString('latin1'), false));
  } catch (error) {
    throw wrap(error, UNKNOWN_STORAGE);
  }
}

/**
 * Returns the target if git can find its references with the configuration of the source, which
 * names the format of its own; otherwise `undefined`. A configuration that cannot be read is
 * reported when it is used.
 */
async function usableTarget(
  existing: Repository | undefined,
  config: Promise<Buffer>,
): Promise<Repository | undefined> {
  if (existing === undefined) return undefined;
  const content = await config.catch(() => undefined);
  if (content === undefined) return existing;
  const ofSource = parseFormat(content.toString('latin1'), false).referenceBackend;
  return existing.referenceBackend === ofSource ? existing : undefined;
}

/** Lets a question run while others do. Its error counts when the answer is used. */
function whenUsed<T>(answer: Promise<T>): Promise<T> {
  answer.catch(() => {});
  return answer;
}

async function synchronize(
  storages: Storages,
  repository: Repository,
  source: RemoteRepository,
  options: ReplicateOptions & { readonly config: Promise<Buffer> },
): Promise<void> {
  const { config, vote, signal } = options;
  await synchronizeConfig(repository, config, { vote }).catch(wrapped('synchronizing gitconfig'));
  // First, so that less has to be fetched.
  if (options.withPool)
    await synchronizePool(storages, repository, source, options).catch(wrapped('synchronizing object pools'));
  const archive = source.customHooks();
  const first = whenUsed(archive.next());
  try {
    await synchronizeReferences(repository, source, options).catch(wrapped('synchronizing references'));
    await synchronizeHooks(repository, { first, rest: archive }, { vote, signal }).catch(
      wrapped('synchronizing custom hooks'),
    );
  } finally {
    await archive.return(undefined);
  }
}

const MODE = 0o644;

/**
 * Copies the `config` file of the source. The nodes of a cluster vote on it in any case.
 *
 * @param source the file's content.
 * @throws the error of `source`.
 */
async function synchronizeConfig(
  repository: Repository,
  source: Promise<Buffer>,
  { vote }: { readonly vote: Vote | undefined },
): Promise<void> {
  const file = `${repository.path}/config`;
  const content = await source;
  const isSame = (await readFile(file).catch(() => undefined))?.equals(content) === true;
  if (isSame && vote === undefined) return;
  await replaceLocked(file, content, { mode: MODE, vote });
}

/** A tar archive of the source's hooks that has been requested. */
interface HooksArchive {
  /** First piece of the archive; `undefined` if there are no hooks. */
  readonly first: Promise<IteratorResult<Uint8Array>>;
  readonly rest: AsyncIterable<Uint8Array>;
}

/**
 * Gives a repository the custom hooks of the source; a directory for them exists afterwards in any
 * case. Nothing is written if there are none on both sides, unless a cluster votes on it.
 */
async function synchronizeHooks(
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
