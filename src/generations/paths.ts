import { PATH_RECORD, type PathRecord } from './codec/small-records.ts';
import type { Environment } from './environment.ts';
import { ProtocolError } from './errors.ts';
import { pathKey } from './keys.ts';

/** A record of a path, and its number. Number 0: the path has none. */
interface PathHead {
  readonly n: number;
  readonly record: PathRecord | undefined;
}

const NO_RECORD: PathHead = { n: 0, record: undefined };

/**
 * The chains of paths: the last record of a path names the id of its repository. They are short,
 * are never deleted, and have no holes.
 */
export class Paths {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Returns the id of the repository at a path; `undefined` if there is none. */
  async resolve(path: string): Promise<string | undefined> {
    const { record } = await this.#head(path);
    return record && (await this.#isHere(path, record)) ? record.id : undefined;
  }

  /** Returns the records of a path, the newest first. */
  async *records(path: string): AsyncGenerator<PathRecord> {
    const head = await this.#head(path);
    for (let { n, record } = head; n > 0; record = await this.#read(path, --n))
      if (record !== undefined) yield record;
  }

  /** Names a repository at a path. @throws {ProtocolError} `exists` */
  async create(path: string, id: string): Promise<void> {
    const record = { kind: 'created', id } as const;
    try {
      await this.#add(path, NO_RECORD, record); // most paths have none
    } catch (error) {
      if (!(error instanceof ProtocolError && error.problem === 'exists')) throw error;
      await this.#add(path, await this.#freeHead(path), record);
    }
  }

  /** Removes the name of a repository. @throws {ProtocolError} `missing` */
  async remove(path: string, id: string): Promise<void> {
    await this.#add(path, await this.#headOf(path, id), { kind: 'removed', id });
  }

  /**
   * Renames a repository. The record `moved` at the old path decides: until it exists, the
   * repository is at the old one. A rename that was interrupted is repeated.
   *
   * @throws {ProtocolError} `missing`, or `exists` for the new path.
   */
  async move(from: string, to: string, id: string): Promise<void> {
    const head = await this.#headOf(from, id);
    const target = await this.#head(to);
    const isArriving =
      target.record?.kind === 'arriving' && target.record.id === id && target.record.from === from;
    if (!isArriving) await this.#add(to, await this.#freeHead(to), { kind: 'arriving', id, from });
    await this.#add(from, head, { kind: 'moved', id, to });
  }

  /** Reports whether the repository of the last record is at the path. */
  async #isHere(path: string, { kind, id, from = '' }: PathRecord): Promise<boolean> {
    if (kind !== 'arriving') return kind === 'created';
    // The old path may have other repositories since.
    for (let { n, record } = await this.#head(from); n > 0; record = await this.#read(from, --n))
      if (record?.id === id) return record.kind === 'moved' && record.to === path;
    return false;
  }

  async #headOf(path: string, id: string): Promise<PathHead> {
    const head = await this.#head(path);
    if (head.record?.id === id && (await this.#isHere(path, head.record))) return head;
    throw new ProtocolError('missing', 'the repository is not at this path');
  }

  async #freeHead(path: string): Promise<PathHead> {
    const head = await this.#head(path);
    if (head.record !== undefined && (await this.#isHere(path, head.record)))
      throw new ProtocolError('exists', 'there is a repository at this path');
    return head;
  }

  /**
   * Finds the last record, with a number of requests that grows with the logarithm of its number.
   */
  async #head(path: string): Promise<PathHead> {
    let [low, high] = [0, 1];
    let record: PathRecord | undefined;
    for (
      let found = await this.#read(path, high);
      found !== undefined;
      found = await this.#read(path, high)
    ) {
      record = found;
      [low, high] = [high, high * 2];
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      const found = await this.#read(path, middle);
      if (found === undefined) high = middle;
      else [low, record] = [middle, found];
    }
    return { n: low, record };
  }

  async #read(path: string, n: number): Promise<PathRecord | undefined> {
    const object = await this.#environment.bucket.get(pathKey(path, n));
    return object && PATH_RECORD.open(object.content);
  }

  /** Adds a record. @throws {ProtocolError} `exists` if another was first. */
  async #add(path: string, { n }: PathHead, record: Omit<PathRecord, 'nonce'>): Promise<void> {
    const { bucket, random } = this.#environment;
    const content = PATH_RECORD.seal({ ...record, nonce: random.nonce() });
    const result = await bucket.create(pathKey(path, n + 1), content).catch(() => 'unknown' as const);
    if (result === 'created') return;
    const stored = await bucket.get(pathKey(path, n + 1));
    if (stored?.content.equals(content) === true) return; // the first request had no response
    if (stored !== undefined) throw new ProtocolError('exists', 'another change of the path came first');
    throw new ProtocolError('unknown', 'the bucket did not confirm a change of a path');
  }
}
