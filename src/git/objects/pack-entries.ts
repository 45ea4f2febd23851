import { LoopSlice, loopTurn } from '#base/async/loop-turns';
import type { CommandRepository } from '../command/command-repository.ts';
import { FallBackToGit } from '../command/in-process.ts';
import { abortError } from '../command/process/exit-error.ts';
import { trustedOid } from '../names/object-id.ts';
import type { ObjectDatabases } from './database/object-databases.ts';
import type { StoredEntry } from './database/object-directory.ts';
import type { Pack } from './database/pack.ts';
import type { PackEntry } from './database/pack-entry.ts';

/** Finds where packs have the objects of one repository. */
export class PackEntries {
  readonly #repository: CommandRepository;
  readonly #databases: ObjectDatabases;

  constructor(repository: CommandRepository, databases: ObjectDatabases) {
    this.#repository = repository;
    this.#databases = databases;
  }

  /**
   * Returns where a pack has an object; `undefined` if it is loose or there is none. Pauses like
   * other reads.
   *
   * @param oid of the repository's format.
   * @throws {FallBackToGit} when that is not known without git; {GitalyError} of an abort.
   */
  async find(oid: string, signal?: AbortSignal): Promise<StoredEntry | undefined> {
    if (this.#databases.iteration.isOver) await loopTurn();
    if (signal?.aborted === true) throw abortError(signal);
    return this.#databases.entryOf(this.#repository, trustedOid(oid));
  }

  /**
   * Returns where entries of a pack end.
   *
   * @param offsets Their beginnings, in order.
   * @throws as {@link find}; {FallBackToGit} if the pack is gone or has no reverse index.
   */
  async endsOf(stem: string, offsets: Float64Array, signal: AbortSignal): Promise<Float64Array> {
    const slice = new LoopSlice();
    return await this.#pack(stem).endsOf(offsets, () => slice.pause(signal));
  }

  /** Returns the header of an entry. @throws as {@link endsOf}. */
  headerOf({ stem, offset }: StoredEntry): PackEntry {
    return this.#pack(stem).headerAt(offset);
  }

  /** Returns the id of the object at an offset of a pack. @throws as {@link endsOf}. */
  oidAt({ stem, offset }: StoredEntry): string {
    return this.#pack(stem).nameAt(offset).toString('hex');
  }

  #pack(stem: string): Pack {
    const pack = this.#databases.pack(this.#repository, stem);
    if (pack === undefined) throw new FallBackToGit('a pack is gone');
    return pack;
  }
}
