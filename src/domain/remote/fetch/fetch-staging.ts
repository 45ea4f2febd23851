import { mkdir, writeFile } from 'node:fs/promises';
import type { ListedRef } from '#git/refs/storage/listed-ref';
import { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

/** Changes of references that a fetch would make. */
export interface FetchedChanges {
  readonly removed: readonly Buffer[];
  readonly updated: readonly FetchedReference[];
}

export interface FetchedReference {
  readonly name: Buffer;
  readonly newOid: string;
  /** `undefined` for a new reference. */
  readonly oldOid: string | undefined;
}

const ALL = { patterns: ['refs/'] };

/**
 * A second repository with the same references, to which git fetches, so that the references of the
 * first one change at once afterwards. Its objects go to a quarantine of the first one. Disposing
 * removes it.
 */
export class FetchStaging implements AsyncDisposable {
  readonly repository: Repository;
  readonly #before: ReadonlyMap<string, ListedRef>;
  readonly #remove: () => Promise<void>;

  private constructor(
    repository: Repository,
    before: ReadonlyMap<string, ListedRef>,
    remove: () => Promise<void>,
  ) {
    this.repository = repository;
    this.#before = before;
    this.#remove = remove;
  }

  /** @param quarantined the repository with the object directory of a quarantine. */
  static async create(quarantined: Repository, signal: AbortSignal): Promise<FetchStaging> {
    const directory = await createTempDirectory(quarantined.storage, 'repo');
    const remove = async (): Promise<void> => {
      await directory[Symbol.asyncDispose]();
    };
    try {
      const before = await referencesOf(quarantined, signal);
      await writeRepository(directory.path, quarantined.objectFormat, before.values());
      const { caches, storage, relativePath, target } = quarantined;
      const location = { storage, relativePath, path: directory.path };
      const repository = new Repository(caches, location, quarantined, target);
      return new FetchStaging(repository, before, remove);
    } catch (error) {
      await remove();
      throw error;
    }
  }

  /** Compares the references with those at the start. */
  async changes(signal: AbortSignal): Promise<FetchedChanges> {
    const after = await referencesOf(this.repository, signal);
    const removed = [...this.#before].filter(([key]) => !after.has(key)).map(([, { name }]) => name);
    const updated: FetchedReference[] = [];
    for (const [key, { name, oid }] of after) {
      const oldOid = this.#before.get(key)?.oid;
      if (oid !== oldOid) updated.push({ name, newOid: oid, oldOid });
    }
    return { removed, updated };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.repository.caches.forget(this.repository);
    await this.#remove();
  }
}

async function referencesOf(repository: Repository, signal: AbortSignal): Promise<Map<string, ListedRef>> {
  const found = new Map<string, ListedRef>();
  for await (const batch of repository.refs.list(ALL, { signal }))
    for (const reference of batch) found.set(reference.name.toString('latin1'), reference);
  return found;
}

async function writeRepository(
  path: string,
  objectFormat: 'sha1' | 'sha256',
  references: Iterable<ListedRef>,
): Promise<void> {
  const version = objectFormat === 'sha1' ? 0 : 1;
  const extensions = objectFormat === 'sha1' ? '' : `[extensions]\n\tobjectformat = ${objectFormat}\n`;
  await writeFile(
    `${path}/config`,
    `[core]\n\trepositoryformatversion = ${version}\n\tbare = true\n${extensions}`,
  );
  await writeFile(`${path}/HEAD`, 'ref: refs/heads/main\n');
  for (const name of ['refs', 'objects']) await mkdir(`${path}/${name}`);
  const lines: Buffer[] = [Buffer.from('# pack-refs with: sorted \n')];
  for (const { oid, name } of references) lines.push(Buffer.from(`${oid} `), name, Buffer.from('\n'));
  await writeFile(`${path}/packed-refs`, Buffer.concat(lines));
}
