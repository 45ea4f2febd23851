import { codeOf, insteadOf, wrap } from '#base/gitaly-error';
import { asGoStatus } from '#base/go/status';
import {
  type Connection,
  checkObjectsExist,
  createRepositoryFromBundle,
  fetchBundle,
  setCustomHooks,
  splitItems,
} from '#client/index';
import type { BackupSource } from '#domain/backup/backup-source';
import { ReferenceNames, unusedNames } from '#domain/backup/name-conflicts';
import type { BackedUpReference } from '#domain/backup/reference-lines';
import { NO_OBJECTS } from '#domain/backup/restore-contents';
import { type BundleSelection, patternsOf } from '#domain/bundle/bundle-selection';
import { EmptyBundleError } from '#domain/bundle/empty-bundle-error';
import type { OidList } from '#git/names/oid-set';
import { ObjectFormat } from '#wire/gen/shared_pb';

/** A repository on a server, as its clients name it. */
export interface RemoteTarget {
  readonly storageName: string;
  readonly relativePath: string;
  readonly glProjectPath: string;
}

interface Change {
  readonly reference: Uint8Array;
  readonly newObjectId: Uint8Array;
}

const HEAD = 'HEAD';
/** Time that a change has to be undone, also after an interrupt. */
const UNDO_LIMIT_MS = 30_000;
/** Time that a repository has to be replaced, also after an interrupt: removing a large one is slow. */
const REPLACE_LIMIT_MS = 600_000;
/** Number of references whose objects are looked up in one call. */
const REFERENCES_AT_ONCE = 1000;

/** The calls of a backup and of a restore on one repository of a server. */
export class BackupCalls implements BackupSource {
  readonly #connection: Connection;
  readonly #repository: RemoteTarget;
  readonly #signal: AbortSignal;

  constructor(connection: Connection, repository: RemoteTarget, signal: AbortSignal) {
    this.#connection = connection;
    this.#repository = repository;
    this.#signal = signal;
  }

  /** Returns the calls that undo a change, which an interrupt must not end: it may be their reason. */
  undoing(): BackupCalls {
    return new BackupCalls(this.#connection, this.#repository, AbortSignal.timeout(UNDO_LIMIT_MS));
  }

  /** Returns the calls that replace the repository, which an interrupt must not end halfway. */
  replacing(): BackupCalls {
    return new BackupCalls(this.#connection, this.#repository, AbortSignal.timeout(REPLACE_LIMIT_MS));
  }

  async objectFormat(): Promise<string> {
    const { format } = await failing('object hash', this.#calls.objectFormat(this.#target, this.#options));
    return format === ObjectFormat.SHA256 ? 'sha256' : 'sha1';
  }

  async exists(): Promise<boolean> {
    return await this.objectFormat().then(() => true, insteadOf('NOT_FOUND', false));
  }

  async headReference(): Promise<string> {
    const request = { ...this.#target, headOnly: true };
    const call = this.#connection.ref.findDefaultBranchName(request, this.#options);
    try {
      return Buffer.from((await call).name).toString();
    } catch (error) {
      if (codeOf(error) === 'INTERNAL') return ''; // it names none, as in a server's own backup
      return await failing('head reference', Promise.reject(error));
    }
  }

  async *referenceLines(): AsyncGenerator<Buffer, void, undefined> {
    for await (const references of this.#references())
      if (references.length > 0)
        yield Buffer.from(
          references.map(({ oid, name }) => `${oid} ${name.toString('latin1')}\n`).join(''),
          'latin1',
        );
  }

  async *bundle(selection?: BundleSelection): AsyncGenerator<Buffer, void, undefined> {
    const calls = this.#calls;
    const answers =
      selection === undefined
        ? calls.createBundle(this.#target, this.#options)
        : calls.createBundleFromRefList(this.#patterns(selection), this.#options);
    try {
      for await (const { data } of answers) yield Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    } catch (error) {
      if (codeOf(error) === 'FAILED_PRECONDITION') throw new EmptyBundleError();
      throw remoteError(error, selection === undefined ? 'create bundle' : 'create bundle patterns: recv');
    }
  }

  async hasObjects(oids: OidList): Promise<boolean> {
    const found = checkObjectsExist(this.#connection, this.#repository, oids, this.#options);
    try {
      for await (const { exists } of found) if (!exists) return false;
      return true;
    } catch (error) {
      throw remoteError(error, 'check objects');
    }
  }

  async *customHooks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const { data } of this.#calls.getCustomHooks(this.#target, this.#options)) yield data;
    } catch (error) {
      throw remoteError(error, 'get custom hooks');
    }
  }

  /** Creates an empty repository. @param defaultBranch without `refs/heads/`; may be empty. */
  async create(objectFormat: 'sha1' | 'sha256', defaultBranch: string): Promise<void> {
    const request = {
      ...this.#target,
      objectFormat: objectFormat === 'sha256' ? ObjectFormat.SHA256 : ObjectFormat.SHA1,
      defaultBranch: Buffer.from(defaultBranch),
    };
    await failing('create', this.#calls.createRepository(request, this.#options));
  }

  /** Removes the repository, if it exists. */
  async remove(): Promise<void> {
    try {
      await this.#calls.removeRepository(this.#target, this.#options);
    } catch (error) {
      if (codeOf(error) !== 'NOT_FOUND') throw remoteError(error, 'remove');
    }
  }

  /** Fetches a bundle, and sets the references to those of the bundle. */
  async fetchBundle(bundle: AsyncIterable<Uint8Array>, { updateHead }: { readonly updateHead: boolean }) {
    const options = { ...this.#options, updateHead };
    await failing('fetch bundle', fetchBundle(this.#connection, this.#repository, bundle, options));
  }

  /** Creates the repository from a bundle. It appears when it is complete. */
  async createFromBundle(bundle: AsyncIterable<Uint8Array>): Promise<void> {
    const call = createRepositoryFromBundle(this.#connection, this.#repository, bundle, this.#options);
    await failing('create from bundle', call);
  }

  async setCustomHooks(archive: AsyncIterable<Uint8Array>): Promise<void> {
    const call = setCustomHooks(this.#connection, this.#repository, archive, this.#options);
    await failing('set custom hooks', call);
  }

  async setHead(target: string): Promise<void> {
    const request = { ...this.#target, ref: Buffer.from(HEAD), revision: Buffer.from(target) };
    await failing('write HEAD ref', this.#calls.writeRef(request, this.#options));
  }

  async listReferences(): Promise<BackedUpReference[]> {
    return (await Array.fromAsync(this.#references())).flat();
  }

  /** Reports whether the references are equal to those of a backup, except HEAD. */
  async hasReferences(wanted: readonly BackedUpReference[]): Promise<boolean> {
    const { removed, changed } = await this.#changes(wanted);
    return removed.length + changed.length === 0;
  }

  /**
   * Renames references because of which git would refuse others: `a`, if `a/b` is wanted. A bundle
   * may need their objects, and git looks for these below references.
   */
  async moveAside(wanted: readonly BackedUpReference[]): Promise<void> {
    const names = namesOf(wanted);
    const unused = unusedNames();
    const changes: Change[] = [];
    const zero = await this.#zero();
    for await (const references of this.#references())
      for (const { name, oid } of references)
        if (names.conflictWith(name))
          changes.push(
            { reference: name, newObjectId: zero },
            { reference: unused(), newObjectId: Buffer.from(oid) },
          );
    await this.#update(changes, 'move refs');
  }

  /**
   * Makes the references those of a backup, HEAD apart: all or none, unless their names conflict.
   *
   * @throws {Error} if objects are missing, without a call that fails: the server would log an
   *   error.
   */
  async resetReferences(wanted: readonly BackedUpReference[]): Promise<void> {
    const { removed, changed } = await this.#changes(wanted);
    const missing = await this.#withoutObjects(changed);
    if (missing.size > 0) throw new Error(`objects of ${missing.size} references are missing`);
    const names = namesOf(wanted);
    const conflicts = removed.filter(({ reference }) => names.conflictWith(Buffer.from(reference)));
    if (conflicts.length === 0) return await this.#update([...removed, ...changed], 'update refs');
    await this.#update(removed, 'remove refs');
    await this.#update(changed, 'update refs');
  }

  /**
   * Sets the references to those of a backup, except HEAD and references whose objects are missing,
   * which older backups can contain. A missing reference is removed if it points to another object.
   *
   * @returns the number of references that are missing.
   * @throws {Error} if no reference has its object; nothing is changed then.
   */
  async resetWhereObjectsExist(wanted: readonly BackedUpReference[]): Promise<number> {
    const { removed, changed } = await this.#changes(wanted);
    if (changed.length > 0 && !(await this.#hasAnyObject(wanted))) throw new Error(NO_OBJECTS);
    await this.#update(removed, 'remove refs');
    try {
      await this.#update(changed, 'update refs');
      return 0;
    } catch (error) {
      const missing = await this.#withoutObjects(changed);
      if (this.#signal.aborted || missing.size === 0) throw error;
      const left = await this.#changes(wanted.filter(({ name }) => !missing.has(name.toString('latin1'))));
      await this.#update(left.removed, 'remove refs');
      await this.#update(left.changed, 'update refs');
      return missing.size;
    }
  }

  /** Reports whether any reference has its object. Nearly always the first ones have. */
  async #hasAnyObject(references: readonly BackedUpReference[]): Promise<boolean> {
    for (let at = 0; at < references.length; at += REFERENCES_AT_ONCE) {
      const oids = references.slice(at, at + REFERENCES_AT_ONCE).map(({ oid }) => Buffer.from(oid));
      const existence = await this.#existence(oids);
      if (existence.includes(true)) return true;
    }
    return false;
  }

  /** Returns the names of references whose new objects are missing. */
  async #withoutObjects(changes: readonly Change[]): Promise<Set<string>> {
    if (changes.length === 0) return new Set();
    const existence = await this.#existence(changes.map(({ newObjectId }) => newObjectId));
    const missing = changes.filter((_, index) => existence[index] !== true);
    return new Set(missing.map(({ reference }) => Buffer.from(reference).toString('latin1')));
  }

  async #existence(oids: readonly Uint8Array[]): Promise<boolean[]> {
    const found = checkObjectsExist(this.#connection, this.#repository, oids, this.#options);
    return (await failing('check objects', Array.fromAsync(found))).map(({ exists }) => exists);
  }

  async #changes(wanted: readonly BackedUpReference[]): Promise<{ removed: Change[]; changed: Change[] }> {
    const left = new Map(wanted.map((reference) => [reference.name.toString('latin1'), reference]));
    left.delete(HEAD);
    const zero = await this.#zero();
    const removed: Change[] = [];
    for await (const references of this.#references())
      for (const { name, oid } of references) {
        const key = name.toString('latin1');
        const reference = left.get(key);
        if (reference?.oid === oid) left.delete(key);
        else if (reference === undefined && key !== HEAD)
          removed.push({ reference: name, newObjectId: zero });
      }
    const changed = left
      .values()
      .map(({ name, oid }) => ({ reference: name, newObjectId: Buffer.from(oid) }))
      .toArray();
    return { removed, changed };
  }

  /** Returns the object id with which a reference is removed. */
  async #zero(): Promise<Buffer> {
    return Buffer.from('0'.repeat((await this.objectFormat()) === 'sha256' ? 64 : 40));
  }

  async *#references(): AsyncGenerator<BackedUpReference[], void, undefined> {
    const request = { ...this.#target, head: true, patterns: [Buffer.from('refs/')] };
    try {
      for await (const { references } of this.#connection.ref.listRefs(request, this.#options))
        yield references.map(({ name, target }) => ({ name: Buffer.from(name), oid: target }));
    } catch (error) {
      throw remoteError(error, 'list refs');
    }
  }

  async #update(changes: readonly Change[], what: string): Promise<void> {
    if (changes.length === 0) return;
    const target = this.#target;
    const requests = async function* () {
      let isFirst = true;
      for await (const updates of splitItems(changes)) {
        yield isFirst ? { ...target, updates } : { updates };
        isFirst = false;
      }
    };
    await failing(what, this.#connection.ref.updateReferences(requests(), this.#options));
  }

  async *#patterns(selection: BundleSelection) {
    for await (const patterns of splitItems(patternsOf(selection))) yield { ...this.#target, patterns };
  }

  get #calls(): Connection['repository'] {
    return this.#connection.repository;
  }

  get #target(): { readonly repository: RemoteTarget } {
    return { repository: this.#repository };
  }

  get #options(): { readonly signal: AbortSignal } {
    return { signal: this.#signal };
  }
}

function namesOf(references: readonly BackedUpReference[]): ReferenceNames {
  const names = new ReferenceNames();
  for (const { name } of references) names.add(name);
  return names;
}

/** Waits for a call. @throws {GitalyError} `remote repository: WHAT: rpc error: …` */
async function failing<T>(what: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw remoteError(error, what);
  }
}

function remoteError(error: unknown, what: string): Error {
  return wrap(asGoStatus(error), `remote repository: ${what}`);
}
