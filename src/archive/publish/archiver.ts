import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { LoopSlice } from '#base/async/loop-turns';
import { codeOf, GitalyError } from '#base/gitaly-error';
import type { ChainState } from '#generations/chain/chain-state';
import type { RepositoryCaches } from '#git/repository-caches';
import type { Repository } from '#storage/repository';
import { archiveRoot } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';
import {
  borrowedIds,
  captureSettings,
  changedSettings,
  lendersOf,
  SETTING,
  stampOfSettings,
} from '../capture/capture-settings.ts';
import {
  changedReferences,
  HEAD_NAME,
  readReference,
  readReferences,
  SYMBOLIC,
} from '../capture/read-references.ts';
import type { LfsArchive } from '../lfs/lfs-archive.ts';
import type { Retention } from '../maintain/retention.ts';
import type { Damage } from '../maintain/verify.ts';
import type { ArchivedRepository, Changes, Publication } from './archived-repository.ts';
import type { JournalPosition } from './journal-position.ts';
import type { LeftPaths } from './left-paths.ts';
import type { OpenRepositories } from './open-repositories.ts';

export interface ArchiverOptions {
  readonly storages: Storages;
  readonly storageName: string;
  readonly repositories: OpenRepositories;
  readonly left: LeftPaths;
  /** `undefined` if the files of Git LFS are not archived. */
  readonly lfs: LfsArchive | undefined;
  /** Returns the identity of the journal. Numbers of another one mean nothing. */
  readonly journalId: () => string;
  /** Returns the last event of the journal, and the time. */
  readonly now: () => JournalPosition;
  readonly retention: Retention;
  readonly signal: AbortSignal;
}

/** git's limit of nested alternates. */
const MAX_LENDERS = 5;

/**
 * The archive has changes of this journal that the journal does not have: the disk was restored to
 * an earlier state, or lost its last changes in a power failure.
 */
export class OlderJournalError extends Error {
  override readonly name = 'OlderJournalError';

  constructor() {
    super('the archive has later changes than the disk: all repositories are compared');
  }
}

/**
 * Brings the archive of a repository to the state on the disk: by the changes that the feed names,
 * or by comparing all of it. Calls for one path follow one another.
 */
export class Archiver {
  readonly #options: ArchiverOptions;
  /** Comparisons of lenders under way. */
  readonly #lenders = new Map<string, Promise<unknown>>();
  /** This process, and the last event before it. */
  readonly #start: { readonly id: string; readonly last: number };

  constructor(options: ArchiverOptions) {
    this.#options = options;
    this.#start = { id: randomBytes(4).toString('hex'), last: options.now().sequence };
  }

  /** Archives new values of references. */
  async changed(path: string, changes: Changes, at: JournalPosition): Promise<void> {
    const repository = this.#find(path);
    if (repository === undefined) return; // an event that follows has removed or moved it
    const archived = await this.#options.repositories.get(path);
    if (archived === undefined) return void (await this.compare(path, at));
    const head = await archived.head();
    if (this.#includes(head, at)) return;
    const { isComplete, values } = await this.#presentValues(repository, changes, head);
    // The event counts as included only with the rest, also if this attempt fails.
    if (!isComplete) return void (await this.compare(path, at));
    await this.#publish(archived, { repository, changes: values, settings: {}, at });
  }

  /** Archives a repository that was created: its settings and HEAD, before its other references. */
  async created(path: string, at: JournalPosition): Promise<void> {
    const repository = this.#find(path);
    if (repository === undefined) return;
    const { repositories } = this.#options;
    const existing = await repositories.get(path);
    if (existing !== undefined && this.#includes(await existing.head(), at)) return;
    // One that was restored continues its chain.
    if (existing !== undefined || (await lendersOf(repository)).length > 0)
      return void (await this.compare(path, at));
    const archived = await repositories.create(path, at.timeMs);
    // It may be that of another repository, which was removed before its archive had a name.
    if ((await archived.head()).references.size > 0) return void (await this.compare(path, at));
    const head = await readReference(repository, HEAD_NAME, this.#options.signal);
    const changes = new Map(head?.startsWith(SYMBOLIC) ? [[HEAD_NAME, head]] : []);
    if (await this.#publishSettings(archived, repository, { changes, at, from: at }))
      await repositories.name(path, archived);
  }

  /** Archives settings that may have changed. @param from the last event that may be archived. */
  async settings(path: string, from: JournalPosition): Promise<void> {
    const repository = this.#find(path);
    if (repository === undefined) return;
    const archived = await this.#options.repositories.get(path);
    if (archived === undefined) return void (await this.compare(path, from));
    const at = { timeMs: this.#options.now().timeMs };
    if (archived.settingsStamp === (await stampOfSettings(repository))) return;
    await this.#publishSettings(archived, repository, { changes: new Map(), at, from });
  }

  /**
   * Compares all of a repository with its archive, and archives the difference.
   *
   * @param from changes up to this one are included then; later ones may be.
   * @returns false if the one on the disk is another repository: events that follow archive it.
   * @throws {GitalyError} FAILED_PRECONDITION, once the rest is archived, if an object that a
   *   reference names is missing: the reference may have changed meanwhile, or is damaged.
   */
  async compare(path: string, from: JournalPosition, depth = 0): Promise<boolean> {
    const { now, repositories, signal, storages } = this.#options;
    // A first comparison reads all repositories.
    await using caches = storages.caches.apart();
    const repository = this.#find(path, caches);
    if (repository === undefined) return true; // an event tells what has become of it
    const existing = await repositories.get(path);
    const at = { sequence: from.sequence, timeMs: now().timeMs };
    const lent = await this.#lent(repository, from, depth);
    const archived = existing ?? (await repositories.create(path, at.timeMs));
    if (lent !== undefined) await repositories.hold(lent.ids, archived);
    const head = await archived.head();
    const { isComplete, values } = await this.#presentValues(
      repository,
      changedReferences(head.references, await readReferences(repository, signal)),
      head,
    );
    const included = isComplete ? at : { timeMs: at.timeMs };
    const compared = { changes: values, lent, at: included, from };
    if (!(await this.#publishSettings(archived, repository, compared))) return false;
    if (existing === undefined) await repositories.name(path, archived);
    if (!isComplete)
      throw new GitalyError('FAILED_PRECONDITION', 'an object that a reference names is missing');
    return true;
  }

  /** Compares a repository that may not change soon, and closes it if it was not open. */
  async compareIdle(path: string, from: JournalPosition): Promise<void> {
    const { repositories } = this.#options;
    const isOpen = repositories.isOpen(path);
    await this.compare(path, from);
    if (!isOpen) repositories.forget(path);
  }

  /**
   * Ends the archive of a repository that was removed or renamed while no event was kept; compares
   * one that is on the disk.
   */
  async missing(path: string, from: JournalPosition): Promise<void> {
    const { repositories, now } = this.#options;
    if (this.#find(path) !== undefined) return await this.compareIdle(path, from);
    const existing = await repositories.get(path);
    if (existing !== undefined) await repositories.remove(path, existing, now().timeMs);
  }

  /** Writes a checkpoint, joins packs, and deletes what is not kept. @returns the number of objects. */
  async maintain(path: string): Promise<number> {
    const { repositories, retention } = this.#options;
    return (await (await repositories.get(path))?.maintain(retention)) ?? 0;
  }

  /**
   * Repairs a repository of the archive from the disk: damaged packs are replaced by one with all
   * that the references reach, which a repository needs, too, if it borrows from one that cannot be
   * read; a damaged chain by a new one.
   *
   * @param from as of {@link compare}.
   * @returns false if the repository is not on the disk.
   */
  async repair(path: string, { isOfChain, lenders, packs }: Damage, from: JournalPosition): Promise<boolean> {
    const { now, repositories, signal } = this.#options;
    const repository = this.#find(path);
    if (repository === undefined) return false;
    if (isOfChain) {
      await repositories.abandon(path);
      await this.compare(path, from); // or events that follow archive what is there now
      return true;
    }
    const archived = await repositories.get(path);
    if (archived === undefined || (await this.#hasLeft(path, await archived.head(), from))) return false;
    if (!(await archived.replacePacks(repository, packs, signal))) return false;
    const [changes, at] = [new Map(), { timeMs: now().timeMs }];
    if (packs.some((name) => name.endsWith(`.${SETTING.hooks}`))) {
      await this.#publish(archived, { repository, changes, settings: { [SETTING.hooks]: '' }, at });
      await this.#publishSettings(archived, repository, { changes, at, from });
    }
    if (lenders.length > 0) {
      const left = borrowedIds(await archived.head()).filter((id) => !lenders.includes(id));
      await this.#publish(archived, {
        repository,
        changes,
        settings: { [SETTING.borrows]: left.join(' ') },
        at,
      });
    }
    return true;
  }

  async removed(path: string, at: JournalPosition): Promise<void> {
    const { repositories } = this.#options;
    const archived = await repositories.get(path);
    if (archived === undefined || this.#includes(await archived.head(), at)) return;
    await repositories.remove(path, archived, at.timeMs);
  }

  async renamed(from: string, to: string, at: JournalPosition): Promise<void> {
    const { repositories } = this.#options;
    const archived = await repositories.get(from);
    if (archived === undefined || this.#includes(await archived.head(), at))
      return void (await this.compare(to, at));
    const occupant = await repositories.get(to);
    if (occupant !== undefined) await repositories.remove(to, occupant, at.timeMs);
    await repositories.move(from, to, archived);
    const repository = this.#find(to);
    const settings = { [SETTING.path]: to };
    if (repository !== undefined)
      await this.#publish(archived, { repository, changes: new Map(), settings, at });
    await this.compare(to, at);
  }

  /**
   * Reports whether an archived state has a change already: it was read from the journal before.
   *
   * @throws {OlderJournalError}
   */
  #includes({ settings }: ChainState, { sequence }: JournalPosition): boolean {
    const [journal, last, start] = (settings.get(SETTING.event) ?? '').split(' ');
    if (journal !== this.#options.journalId()) return false;
    if (start !== this.#start.id && Number(last) > this.#start.last) throw new OlderJournalError();
    return Number(last) >= sequence;
  }

  /**
   * Reports whether the repository that an archived state is of has left its path: what was read
   * there may be of another one.
   */
  async #hasLeft(path: string, { settings }: ChainState, from: JournalPosition): Promise<boolean> {
    const { after = from.sequence } = from;
    const [journal, last] = (settings.get(SETTING.event) ?? '').split(' ');
    const included = journal === this.#options.journalId() ? Number(last) : 0;
    return await this.#options.left.hasLeft(path, Math.max(included, after));
  }

  /**
   * Returns the repository of a path; `undefined` if the storage has none.
   *
   * @throws {GitalyError} if that cannot be told, as when the disk is gone or cannot be read.
   */
  #find(relativePath: string, caches?: RepositoryCaches): Repository | undefined {
    const { storageName, storages } = this.#options;
    try {
      const repository = storages.open({ storageName, relativePath }, { caches });
      return repository.relativePath === relativePath ? repository : undefined;
    } catch (error) {
      const code = codeOf(error);
      const isAbsent = code === 'NOT_FOUND' || code === 'FAILED_PRECONDITION';
      // A storage that is not mounted has no repository either.
      if (isAbsent && existsSync(archiveRoot(storages.storage(storageName)))) return undefined;
      throw error;
    }
  }

  /**
   * Archives the settings that differ, with some changes of references.
   *
   * @returns false if it does not, because the repository has left its path.
   */
  async #publishSettings(
    archived: ArchivedRepository,
    repository: Repository,
    { at, changes, from, lent }: PublishedSettings,
  ): Promise<boolean> {
    const stamp = await stampOfSettings(repository);
    const settings = await captureSettings(repository, this.#options.signal);
    const head = await archived.head();
    if (await this.#hasLeft(repository.relativePath, head, from)) return false;
    const archivedSettings = head.settings;
    const values = changedSettings(archivedSettings, settings);
    const hooksName = archivedSettings.get(SETTING.hooks);
    const { hooks } = settings;
    const isSame = hooks !== undefined && hooksName?.startsWith(`${hooks.checksum}-`) === true;
    if (hooks === undefined && hooksName !== undefined) values[SETTING.hooks] = '';
    if (lent !== undefined) {
      const borrows = new Set([...borrowedIds({ settings: archivedSettings }), ...lent.ids]);
      const text = [...borrows].join(' ');
      if (text !== (archivedSettings.get(SETTING.borrows) ?? '')) values[SETTING.borrows] = text;
    }
    const changed = { changes, settings: values, at, ...(lent && { lent: lent.tips }) };
    await this.#publish(archived, { repository, ...changed, ...(!isSame && hooks && { hooks }) });
    archived.settingsStamp = stamp;
    return true;
  }

  async #publish(
    archived: ArchivedRepository,
    { at, settings, ...publication }: Omit<Publication, 'signal' | 'timeMs'> & { readonly at: At },
  ): Promise<void> {
    const { journalId, lfs, signal } = this.#options;
    const { changes, repository } = publication;
    const lfsSettings = await lfs?.archive(repository, changes, await archived.head());
    const event = at.sequence !== undefined && {
      [SETTING.event]: `${journalId()} ${at.sequence} ${this.#start.id}`,
    };
    await archived.publish({
      ...publication,
      settings: { ...settings, ...lfsSettings, ...event },
      timeMs: at.timeMs,
      signal,
    });
    await archived.checkpointIfDue();
  }

  /**
   * Leaves out values whose objects are gone, because later changes have replaced them, and reads
   * symbolic references, which the feed reports by what they lead to.
   */
  async #presentValues(
    repository: Repository,
    changes: Changes,
    head: ChainState,
  ): Promise<{ readonly values: Changes; readonly isComplete: boolean }> {
    const { signal } = this.#options;
    const values = new Map<string, string | undefined>();
    const present = new Set<string>();
    const slice = new LoopSlice();
    for (const [name, value] of changes) {
      if (slice.isOverAfterItem()) await slice.pause(signal);
      const mayBeSymbolic = name.endsWith(`/${HEAD_NAME}`) || head.references.get(name)?.startsWith(SYMBOLIC);
      const current = mayBeSymbolic === true ? await readReference(repository, name, signal) : value;
      if (current !== undefined && !current.startsWith(SYMBOLIC) && !present.has(current)) {
        if ((await repository.objects.info(current, { signal })) === undefined) continue;
        present.add(current); // many names may have the same value
      }
      values.set(name, current);
    }
    return { values, isComplete: values.size === changes.size };
  }

  /** Compares a lender that is not archived yet, once for all that wait for it. */
  async #compareLender(path: string, from: JournalPosition, depth: number): Promise<void> {
    if (depth > 1) return void (await this.compare(path, from, depth)); // none of these waits for another
    let comparing = this.#lenders.get(path);
    if (comparing === undefined) {
      comparing = this.compare(path, from, depth).finally(() => this.#lenders.delete(path));
      this.#lenders.set(path, comparing);
    }
    await comparing;
  }

  /** Returns what the archive has of the repositories whose objects a repository uses. */
  async #lent(repository: Repository, from: JournalPosition, depth: number): Promise<Lent | undefined> {
    const { repositories } = this.#options;
    const ids: string[] = [];
    const tips = new Set<string>();
    for (const path of depth < MAX_LENDERS ? await lendersOf(repository) : []) {
      if ((await repositories.get(path)) === undefined) await this.#compareLender(path, from, depth + 1);
      const lender = await repositories.get(path);
      if (lender === undefined) continue;
      ids.push(lender.id);
      for (const value of (await lender.head()).references.values())
        if (!value.startsWith(SYMBOLIC)) tips.add(value);
    }
    return ids.length === 0 ? undefined : { ids, tips: [...tips] };
  }
}

/** The time of a state, and the last event that it includes, if it is up to one. */
type At = Pick<JournalPosition, 'timeMs'> & Partial<JournalPosition>;

interface PublishedSettings {
  readonly at: At;
  /** The last event that is included, or may be. */
  readonly from: JournalPosition;
  readonly changes: Changes;
  readonly lent?: Lent | undefined;
}

/** Other repositories in the archive whose objects may be used. */
interface Lent {
  readonly ids: readonly string[];
  readonly tips: readonly string[];
}
