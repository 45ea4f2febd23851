import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import { Limit } from '#base/limits/limit';
import { lfsIdsOf } from '#domain/settings/lfs-ids';
import { lfsPointersOf } from '#domain/settings/lfs-pointers';
import type { ChainState } from '#generations/chain/chain-state';
import { eachConcurrently } from '#object-store/each-concurrently';
import type { LfsIds, LfsPointer } from '#object-store/lfs-objects';
import type { ObjectStore } from '#object-store/object-store';
import type { Repository } from '#storage/repository';
import { type ArchiveBucket, lfsFilesOf } from '../bucket/archive-bucket.ts';
import { SETTING } from '../capture/capture-settings.ts';
import { HEAD_NAME, SYMBOLIC } from '../capture/read-references.ts';
import { copyLfsFile } from './copy-lfs-file.ts';
import { archivedLfsIds } from './lfs-ids.ts';
import { type PendingFile, PendingFiles } from './pending-files.ts';

export interface LfsArchiveOptions {
  readonly bucket: ArchiveBucket;
  /** The store of the server. */
  readonly store: ObjectStore;
  readonly pending: PendingFiles;
  /** Called when files could not be archived; each is tried again. */
  readonly onProblem: (error: Error, path: string) => void;
  readonly signal: AbortSignal;
}

/** Files that are uploaded at once, of all repositories, and of one. */
const AT_ONCE = 8;
const OF_ONE = 4;
/** Pointers after which git waits for the uploads. */
const MAX_POINTERS = 10_000;
const RETRY_MS = 60_000;
/** A file that failed n times is tried again after n times the pause, up to this number. */
const MAX_ROUNDS = 60;

/** Archives the files of Git LFS: once each, under their keys in the server's store. */
export class LfsArchive {
  readonly #options: LfsArchiveOptions;
  readonly #files: ObjectStore;
  readonly #running = new Limit<string>({ capacity: AT_ONCE });
  /** How often a pending file has failed. */
  readonly #failures = new WeakMap<PendingFile, number>();

  constructor(options: LfsArchiveOptions) {
    this.#options = options;
    this.#files = lfsFilesOf(options.bucket);
  }

  /** Opens the archive of the files, whose notes are in a file. */
  static async open(
    options: Omit<LfsArchiveOptions, 'pending'> & { readonly pendingPath: string },
  ): Promise<LfsArchive> {
    const { pendingPath, ...others } = options;
    return new LfsArchive({ ...others, pending: await PendingFiles.open(pendingPath) });
  }

  /**
   * Archives the files that changes of references name and that the store has; the others are
   * noted. If the archive does not know the ids of the repository yet, those of its whole history.
   *
   * @returns the settings of the generation.
   */
  async archive(
    repository: Repository,
    changes: ReadonlyMap<string, string | undefined>,
    head: ChainState,
  ): Promise<Readonly<Record<string, string>>> {
    const { onProblem, pending, signal } = this.#options;
    const [own, ...sources] = await lfsIdsOf(repository);
    if (own === undefined) return {};
    const ids: LfsIds = [own, ...sources];
    const known = archivedLfsIds(head);
    const isKnown = ids.every((id) => known.includes(id));
    const wants = newOids(head, changes);
    if (isKnown && wants.length === 0) return {};
    const revisions = [...wants, ...(isKnown ? await this.#without(repository, changes, head) : ['--all'])];
    try {
      const counts = { failed: 0, reason: '' };
      for await (const pointers of inChunks(lfsPointersOf(repository, revisions, signal)))
        await eachConcurrently(pointers, OF_ONE, (each) => this.#archiveNew(each, ids, counts));
      if (counts.failed > 0) onProblem(failure(counts), repository.relativePath);
    } catch (error) {
      signal.throwIfAborted();
      onProblem(failure({ failed: 0, reason: messageOf(error) }), repository.relativePath);
      return {}; // `verify` finds what is missing
    }
    await pending.save();
    return isKnown ? {} : { [SETTING.lfsIds]: [...new Set([...known, ...ids])].join(' ') };
  }

  /** Archives files that were missing, or that failed, once the store has them. Never rejects. */
  async retry(round = 0): Promise<void> {
    const { onProblem, pending, signal } = this.#options;
    const counts = { failed: 0, reason: '' };
    try {
      await eachConcurrently(pending.of(Date.now()), OF_ONE, async (each) => {
        const [own, ...sources] = each.ids;
        const failures = this.#failures.get(each) ?? 0;
        if (own === undefined || round % Math.min(failures + 1, MAX_ROUNDS) !== 0) return;
        const result = await this.#copy(each, [own, ...sources], counts);
        if (result === 'failed') this.#failures.set(each, failures + 1);
        if (result === 'present' || result === 'copied') pending.delete(each);
      });
      await pending.save();
      if (counts.failed > 0) onProblem(failure(counts), '');
    } catch (error) {
      if (!signal.aborted) onProblem(failure({ failed: 0, reason: messageOf(error) }), '');
    }
  }

  /** Tries again until the signal is aborted. */
  async run(): Promise<never> {
    for (let round = 0; ; round++) {
      await this.retry(round);
      await delay(RETRY_MS, undefined, { signal: this.#options.signal, ref: false });
    }
  }

  async #archiveNew(pointer: LfsPointer, ids: LfsIds, counts: Counts): Promise<void> {
    const result = await this.#copy(pointer, ids, counts);
    if (result === 'missing' || result === 'failed') this.#options.pending.add(ids, pointer, Date.now());
  }

  async #copy(pointer: LfsPointer, ids: LfsIds, counts: Counts) {
    const { signal, store } = this.#options;
    const { release } = await this.#running.acquire(ids[0]);
    try {
      return await copyLfsFile(pointer, { ids, from: store, to: this.#files, signal });
    } catch (error) {
      signal.throwIfAborted();
      counts.failed++;
      counts.reason = messageOf(error);
      return 'failed' as const;
    } finally {
      release();
    }
  }

  /** Returns the revisions whose files are archived: former values, and the default branch. */
  async #without(
    { objects }: Repository,
    changes: ReadonlyMap<string, string | undefined>,
    { references }: ChainState,
  ): Promise<string[]> {
    const branch = references.get(HEAD_NAME)?.slice(SYMBOLIC.length) ?? '';
    const values = [...changes.keys(), branch].map((name) => references.get(name));
    const present: string[] = [];
    for (const oid of new Set(values.filter(isOid)))
      if ((await objects.info(oid, { signal: this.#options.signal })) !== undefined) present.push(oid);
    return present.length === 0 ? [] : ['--not', ...present];
  }
}

interface Counts {
  failed: number;
  reason: string;
}

function failure({ failed, reason }: Counts): Error {
  const what = failed === 0 ? 'files' : failed === 1 ? 'a file' : `${failed} files`;
  return new Error(`${what} of Git LFS could not be archived: ${reason}`);
}

/** Returns the values that the archive does not have. */
function newOids({ references }: ChainState, changes: ReadonlyMap<string, string | undefined>): string[] {
  const values = [...changes].filter(([name, value]) => references.get(name) !== value);
  return [...new Set(values.map(([, value]) => value).filter(isOid))];
}

function isOid(value: string | undefined): value is string {
  return value !== undefined && !value.startsWith(SYMBOLIC);
}

/** Collects pointers, so that git has ended before the uploads of an ordinary push. */
async function* inChunks(
  batches: ReturnType<typeof lfsPointersOf>,
): AsyncGenerator<readonly LfsPointer[], void, undefined> {
  let chunk: LfsPointer[] = [];
  for await (const pointers of batches) {
    // git-lfs stores no empty files.
    for (const { fileOid, fileSize } of pointers)
      if (fileSize > 0n) chunk.push({ oid: fileOid, size: Number(fileSize) });
    if (chunk.length < MAX_POINTERS) continue;
    yield chunk;
    chunk = [];
  }
  yield chunk;
}
