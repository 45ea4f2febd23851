import { insteadOf, messageOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import { isPoolPath } from '#storage/pool-path';

/** Repositories whose settings are read at once. */
const AT_ONCE = 16;
/** A part of a SHA-256 that no other file shares by chance; whole ones take twice the memory. */
const KEPT_DIGITS = 32;

interface Place {
  readonly storageName: string;
  readonly relativePath: string;
}

/** A repository that reads files of Git LFS. */
export interface LfsReader extends Place {
  /** Tells it from another one that got its path. */
  readonly ownId: string;
}

/** Files of Git LFS, of whose names only a part is kept. */
export class NamedFiles {
  readonly #parts = new Set<string>();

  add(oid: string): void {
    this.#parts.add(oid.slice(0, KEPT_DIGITS));
  }

  has(oid: string): boolean {
    return this.#parts.has(oid.slice(0, KEPT_DIGITS));
  }
}

/** The repositories of a server that read files of Git LFS, and the files that they name. */
export class LfsReaders {
  readonly #connection: Connection;
  readonly #signal: AbortSignal;
  readonly #unreadable = new Set<string>();

  constructor(connection: Connection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
  }

  /** Repositories that could not be read, with the reasons. */
  get unreadable(): string[] {
    return [...this.#unreadable];
  }

  /**
   * Returns the repositories that read the files of each id. Those that are renamed meanwhile can
   * be missing.
   */
  async list(): Promise<Map<string, LfsReader[]>> {
    const readers = new Map<string, LfsReader[]>();
    const add = async (places: readonly Place[]): Promise<void> => {
      const found = await Promise.all(places.map((place) => this.#idsOf(place)));
      for (const [index, place] of places.entries()) {
        const [ownId = '', ...sources] = found[index] ?? [];
        const reader = { ...place, ownId };
        for (const id of ownId === '' ? [] : [ownId, ...sources]) {
          const known = readers.get(id);
          if (known === undefined) readers.set(id, [reader]);
          else known.push(reader);
        }
      }
    };
    const { internal, server } = this.#connection;
    const options = { signal: this.#signal };
    const { storageStatuses } = await server.serverInfo({}, options);
    for (const storageName of new Set(storageStatuses.map((status) => status.storageName))) {
      let places: Place[] = [];
      for await (const { relativePath } of internal.walkRepos({ storageName }, options)) {
        if (isPoolPath(relativePath)) continue;
        places.push({ storageName, relativePath });
        if (places.length < AT_ONCE) continue;
        await add(places);
        places = [];
      }
      await add(places);
    }
    return readers;
  }

  /**
   * Returns the files that the histories of repositories name; `undefined` if one cannot be read.
   * One that does not exist may have been renamed, and still name files.
   */
  async namedBy(readers: readonly LfsReader[]): Promise<NamedFiles | undefined> {
    const named = new NamedFiles();
    for (const { storageName, relativePath } of readers)
      try {
        const request = { repository: { storageName, relativePath } };
        const answers = this.#connection.settings.listLfsFiles(request, { signal: this.#signal });
        for await (const { files } of answers) for (const { sha256 } of files) named.add(sha256);
      } catch (error) {
        this.#signal.throwIfAborted();
        this.#unreadable.add(`${relativePath}: ${messageOf(error)}`);
        return undefined;
      }
    return named;
  }

  async #idsOf(repository: Place): Promise<string[]> {
    const found = this.#connection.settings.get({ repository }, { signal: this.#signal });
    // A repository may be removed or renamed meanwhile.
    return (await found.catch(insteadOf('NOT_FOUND', undefined)))?.lfsIds ?? [];
  }
}
