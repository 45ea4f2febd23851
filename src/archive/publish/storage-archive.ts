import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { abortable } from '#base/async/abortable';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { messageOf } from '#base/gitaly-error';
import type { ProtocolTimes } from '#generations/environment';
import type { StoreObserver } from '#object-store/observed-store';
import type { Storage } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { type ArchiveBucket, openArchiveBucket } from '../bucket/archive-bucket.ts';
import { AnotherWriterError, WriterLease } from '../bucket/writer-lease.ts';
import { LfsArchive } from '../lfs/lfs-archive.ts';
import type { ArchivedLfsStore } from '../lfs/lfs-store.ts';
import { pruneLfsFiles } from '../lfs/prune-lfs-files.ts';
import { IdleRepositories } from '../maintain/idle-repositories.ts';
import type { Retention } from '../maintain/retention.ts';
import { type Damage, type VerifiedRepository, verifyArchive } from '../maintain/verify.ts';
import { archiveDirectory } from './archive-directory.ts';
import { Archiver } from './archiver.ts';
import { type ArchivedEvents, Consumer } from './consumer.ts';
import { LeftPaths } from './left-paths.ts';
import { MarkedSettings } from './marks.ts';
import { OpenRepositories } from './open-repositories.ts';
import { Progress } from './progress.ts';

/** Receives the problems of an archive, for the log and for metrics. */
export interface ArchiveObserver {
  /** An attempt failed. `isLast`: the repository is left as it is until it is compared. */
  readonly problem: (error: unknown, facts: { readonly path: string; readonly isLast: boolean }) => void;
  /** This server may not write to the archive any more. */
  readonly refused: (error: AnotherWriterError) => void;
}

export interface StorageArchiveOptions {
  readonly url: string;
  readonly storage: Storage;
  readonly storages: Storages;
  readonly journal: ArchivedEvents;
  readonly observer: ArchiveObserver;
  readonly storeObserver?: StoreObserver | undefined;
  /** `undefined` without Git LFS. */
  readonly lfs?: ArchivedLfsStore | undefined;
  readonly retention: Retention;
  /** Nothing is archived before, because another process of this server still does. Default: none. */
  readonly takenOver?: Promise<void> | undefined;
  /** For tests. */
  readonly times?: ProtocolTimes;
  readonly joinMs?: number;
}

/** `waiting`: for the bucket, or for the end of another writer or of the process before. */
export type ArchiveState = 'waiting' | 'live' | 'refused' | 'ended';

/** How far a storage is archived. */
export interface StorageArchiveStatus {
  readonly storage: string;
  /** URL of the bucket, without its options. */
  readonly archive: string;
  readonly state: ArchiveState;
  /** Number of the last event of the journal. */
  readonly lastEvent: number;
  /** All events up to this one are archived; -1 while that is not known. */
  readonly archivedEvent: number;
  /**
   * Age of the oldest change that is not archived; 0 if all are. While the archive waits, with
   * changes since, the time of that.
   */
  readonly behindMs: number;
  /** False while all repositories are compared: a first start, or after a gap in the journal. */
  readonly isComplete: boolean;
  /** Repositories that could not be archived. */
  readonly failed: readonly string[];
  /** The last problem since the last success; empty without one. */
  readonly problem: string;
}

/**
 * Changes of a repository are joined for this time, so that a generation is paid for by several
 * pushes: with a request, it stays below 2 s.
 */
const JOIN_MS = 1200;
/** Time in which the start of a server waits for the bucket, to see another writer. */
const START_MS = 20_000;
/** Time in which a stop archives what is pending. */
const STOP_MS = 10_000;
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;

/** The archive of one storage in one bucket. */
export class StorageArchive implements AsyncDisposable {
  readonly options: StorageArchiveOptions;
  readonly #ending = new AbortController();
  readonly #opened = Promise.withResolvers<void>();
  #started = ignorable<Consumer>();
  readonly #running: Promise<void>;
  #state: ArchiveState = 'waiting';
  #problem = '';
  #bucket: ArchiveBucket | undefined;
  #writer: WriterLease | undefined;
  #consumer: Consumer | undefined;
  /** When the last consumer ended, or this archive was opened: later events wait for the next. */
  #idle: { readonly sinceMs: number; readonly event: number };
  #progress: Progress | undefined;
  #lfs: LfsArchive | undefined;

  private constructor(options: StorageArchiveOptions) {
    this.options = options;
    this.#idle = { sinceMs: Date.now(), event: options.journal.last };
    this.#running = this.#run();
  }

  /**
   * Starts to archive a storage. A bucket that does not respond is tried again later.
   *
   * @throws {AnotherWriterError} if another server writes to the archive.
   */
  static async start(options: StorageArchiveOptions): Promise<StorageArchive> {
    const archive = new StorageArchive(options);
    const late = AbortSignal.any([AbortSignal.timeout(START_MS), archive.#ending.signal]);
    try {
      await abortable(archive.#opened.promise, late);
    } catch (error) {
      if (error instanceof AnotherWriterError) {
        await archive[Symbol.asyncDispose]();
        throw error;
      }
    }
    return archive;
  }

  /** Returns the bucket. @throws {Error} while it does not respond. */
  get bucket(): ArchiveBucket {
    if (this.#bucket === undefined) throw new Error(`the archive cannot be reached: ${this.#problem}`);
    return this.#bucket;
  }

  status(): StorageArchiveStatus {
    const { journal, storage, url } = this.options;
    const first = this.#consumer?.steps.first?.firstMs;
    const waits = this.#consumer === undefined && journal.last > this.#idle.event;
    const sinceMs = waits ? this.#idle.sinceMs : first;
    return {
      storage: storage.name,
      archive: url.replace(/[?#].*$/s, ''),
      state: this.#state,
      lastEvent: journal.last,
      archivedEvent: this.#progress?.cursor ?? -1,
      behindMs: sinceMs === undefined ? 0 : Math.max(0, Date.now() - sinceMs),
      isComplete: this.#progress?.toCompare === 'none',
      failed: [...(this.#progress?.failed ?? [])],
      problem: this.#problem,
    };
  }

  /** Waits until all changes until now are archived. @throws {Error} when the archive ends before. */
  async settle(): Promise<void> {
    const consumer = await this.#started.promise;
    await abortable(consumer.settle(), this.#ending.signal);
  }

  /** Deletes what is not kept, of all repositories. @throws {Error} when the archive ends before. */
  async prune(): Promise<void> {
    const consumer = await this.#started.promise;
    const { signal } = this.#ending;
    const prune = async (): Promise<void> => {
      await this.#lfs?.retry();
      await consumer.prune();
      await pruneLfsFiles(this.bucket, signal);
    };
    await abortable(prune(), signal);
  }

  /** Reads all of the archive back. @throws {Error} when the archive ends before. */
  async *verify(isFull: boolean, signal: AbortSignal): AsyncGenerator<VerifiedRepository> {
    const consumer = await abortable(this.#started.promise, signal);
    const { lfs, storage, storages } = this.options;
    const repair = (path: string, damage: Damage): Promise<boolean> => consumer.repair(path, damage);
    const environment = { ...this.bucket.environment, bucket: this.bucket.direct };
    const bucket = { ...this.bucket, environment };
    yield* verifyArchive({ bucket, storage, storages, lfs, isFull, repair, signal });
  }

  /** Archives what is pending, for a bounded time, and gives the lease back. */
  async [Symbol.asyncDispose](): Promise<void> {
    const late = AbortSignal.any([AbortSignal.timeout(STOP_MS), this.#ending.signal]);
    if (this.#state === 'live' && this.#consumer !== undefined)
      await abortable(this.#consumer.steps.finish(), late).catch(() => {});
    await this.#progress?.save();
    if (this.#state === 'live')
      await abortable(this.#writer?.release() ?? Promise.resolve(), late).catch(() => {});
    this.#state = 'ended';
    this.#ending.abort(new Error('the archive has ended'));
    await this.#running;
  }

  /** Opens the bucket, and archives until the end. Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#ending;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await this.#archive();
      } catch (error) {
        if (signal.aborted) break;
        this.#problem = messageOf(error);
        if (error instanceof AnotherWriterError) {
          this.#state = 'refused';
          this.#opened.reject(error);
          this.options.observer.refused(error);
          break;
        }
        this.#opened.resolve(); // the server starts without its archive
        this.options.observer.problem(error, { path: '', isLast: false });
      }
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** attempt, MAX_PAUSE_MS);
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => {}); // the loop ends
    }
    this.#opened.reject(signal.reason);
    this.#started.reject(signal.reason);
  }

  async #archive(): Promise<void> {
    const { storage, storeObserver, takenOver, times, url } = this.options;
    const { signal } = this.#ending;
    const directory = archiveDirectory(storage, url);
    const holder = await holderIn(directory);
    this.#bucket ??= await openArchiveBucket(url, {
      signal,
      ...(times && { times }),
      observer: storeObserver,
    });
    const writer = new WriterLease(this.#bucket, holder);
    this.#writer = writer;
    await writer.check();
    this.#opened.resolve();
    if (takenOver !== undefined) await abortable(takenOver, signal);
    const ended = new AbortController();
    const all = AbortSignal.any([signal, ended.signal]);
    let consuming: Promise<void> | undefined;
    try {
      await writer.hold(() => {
        consuming = this.#consume(writer, directory, all).catch(async (error: unknown) => {
          if (all.aborted) return;
          this.#onProblem(error, { path: '', isLast: true });
          await writer.release().catch(() => {}); // it is not held any more, and all begins again
        });
      });
    } finally {
      ended.abort(new Error('the lease of the archive has ended'));
      await consuming;
      await this.#progress?.close(); // and not later: the next attempt reads it
      if (this.#consumer !== undefined) {
        this.#started = ignorable();
        this.#idle = { sinceMs: Date.now(), event: this.#consumer.archived };
      }
      this.#consumer = undefined;
      if (this.#state === 'live') this.#state = 'waiting';
    }
  }

  async #consume(writer: WriterLease, directory: string, signal: AbortSignal): Promise<void> {
    const { journal, joinMs = JOIN_MS, retention, storage, storages } = this.options;
    const { bucket } = this;
    const progress = await Progress.open(
      join(directory, 'progress.json'),
      { incarnation: bucket.incarnation, last: journal.last },
      (error) => this.#onProblem(error, { path: '', isLast: false }),
    );
    this.#progress = progress;
    const repositories = new OpenRepositories({ bucket, writer });
    this.#lfs = await this.#openLfs(bucket, directory, signal);
    const archiver = new Archiver({
      storages,
      storageName: storage.name,
      repositories,
      left: new LeftPaths({ journal, archived: () => progress.cursor }),
      lfs: this.#lfs,
      journalId: () => progress.journalId,
      retention,
      now: () => ({ sequence: journal.last, timeMs: Date.now() }),
      signal,
    });
    this.#consumer = new Consumer({
      bucket,
      storage,
      journal,
      repositories,
      idle: new IdleRepositories(bucket, retention),
      retention,
      archiver,
      progress,
      marks: new MarkedSettings(directory),
      onProblem: (error, facts) => this.#onProblem(error, facts),
      onDone: () => {
        this.#problem = '';
      },
      joinMs,
      signal,
    });
    this.#state = 'live';
    this.#problem = '';
    this.#started.resolve(this.#consumer);
    await Promise.all([this.#consumer.run(), this.#lfs?.run()]);
  }

  async #openLfs(
    bucket: ArchiveBucket,
    directory: string,
    signal: AbortSignal,
  ): Promise<LfsArchive | undefined> {
    const { lfs } = this.options;
    if (lfs?.isArchived !== true) return undefined;
    return await LfsArchive.open({
      ...{ bucket, signal, store: lfs.store },
      pendingPath: join(directory, 'lfs-pending.json'),
      onProblem: (error, path) => this.#onProblem(error, { path, isLast: false }),
    });
  }

  #onProblem(error: unknown, facts: { readonly path: string; readonly isLast: boolean }): void {
    this.#problem = messageOf(error);
    this.options.observer.problem(error, facts);
  }
}

/** Returns a promise for which nobody needs to wait: it may be rejected. */
function ignorable<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => {});
  return resolvers;
}

/** Returns the name by which other servers and this one know its lease: the same after a restart. */
async function holderIn(directory: string): Promise<string> {
  const path = join(directory, 'holder');
  const kept = await readFile(path, 'utf8').catch(ignoreMissing);
  if (kept !== undefined && kept !== '') return kept;
  const holder = `${hostname()} ${randomUUID()}`;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await replaceFile(path, holder, { durable: true });
  return holder;
}
