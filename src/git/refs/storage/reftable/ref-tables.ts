import { existsSync, statSync } from 'node:fs';
import { Sha1Xor } from '#base/sha1-xor';
import type { CommandRepository } from '#git/command/command-repository';
import { FallBackToGit } from '#git/command/in-process';
import { OID_BYTES, OID_DIGITS, type OidBytes } from '#git/names/object-id';
import { beginsWith } from '#git/names/prefixes';
import { HEAD, type RefName } from '#git/names/ref-name';
import type { RefQuery } from '#git/refs/git/for-each-ref';
import type { RefCaches } from '#git/refs/resolve/ref-caches';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { addChecksumLine, isChecksumLine } from '../checksum-lines.ts';
import { followCached, followRef } from '../follow-ref.ts';
import type { ListedRef } from '../listed-ref.ts';
import type { AdvertisedView, ListStoredOptions, ReadRef, RefStorage, RefSum } from '../ref-storage.ts';
import type { ResolvedRef, ResolvedRefWatch } from '../resolved-refs.ts';
import { encodeStack } from './encode-stack.ts';
import { listStack } from './list-stack.ts';
import { fallBackOnVanished, type Stack } from './stack.ts';
import { NO_HEAD, TABLES_LIST } from './stacks.ts';

const BRANCHES = Buffer.from('refs/heads/');
// Made once: names are resolved in every call.
const UNKNOWN_HASH = new FallBackToGit('the object format is unknown');

/** The references of one repository in a stack of reftables. */
export class RefTables implements RefStorage {
  readonly backend = 'reftable';
  readonly #caches: RefCaches;
  readonly #repository: CommandRepository;

  constructor(caches: RefCaches, repository: CommandRepository) {
    this.#caches = caches;
    this.#repository = repository;
  }

  inView<T>(use: (read: ReadRef) => T, watch?: ResolvedRefWatch): T {
    watch?.beforeFile(TABLES_LIST);
    return this.#use((stack) => use((name) => stack.read(name)));
  }

  follow(name: RefName): ResolvedRef | undefined {
    return followCached(this, this.#caches.resolved, { gitDirectory: this.#repository.path, name });
  }

  /** git has some references in files (FETCH_HEAD), and may have one of the name in a table. */
  isTaken(name: string, hasFile = true): boolean {
    const bytes = Buffer.from(name, 'latin1');
    if (hasFile && existsSync(Buffer.concat([Buffer.from(`${this.#repository.path}/`), bytes]))) return true;
    return this.#use((stack) => stack.find(bytes)) !== undefined;
  }

  /** Only git reads reflogs in tables. */
  mayLog(): boolean {
    return this.#use((stack) => stack.tables.some(({ hasLogs }) => hasLogs));
  }

  hasBranch(): boolean {
    this.#checkHead();
    return this.#use((stack) => {
      for (const [first] of stack.batches(BRANCHES)) {
        if (first?.symbolicTarget !== undefined) throw new FallBackToGit('a branch is symbolic');
        if (first !== undefined) return true;
      }
      return false;
    });
  }

  async *list(
    query: Pick<RefQuery, 'patterns' | 'exclude'>,
    options: ListStoredOptions,
  ): AsyncGenerator<ListedRef[], void> {
    if (!existsSync(this.#repository.objectDirectory)) throw new FallBackToGit('there are no objects');
    this.#checkHead();
    const { stack, held } = this.#held();
    using _ = held;
    yield* listStack(stack, query, options);
  }

  async advertised({ peel }: { readonly peel: boolean }): Promise<AdvertisedView> {
    const { stack, held } = this.#held();
    using _ = held;
    const { path } = this.#repository;
    const options = { digits: OID_DIGITS[this.#objectFormat()], peel };
    const open = () => ({ stamp: stack, encoded: encodeStack(stack, options) });
    const { lines, symbolic } = await this.#caches.lines.get(path, options, { stamp: stack, open });
    const read = (name: RefName) => orFallBack(() => stack.read(name));
    const follow = (name: RefName) => followRef(read, name);
    const others = symbolic.map((name) => {
      const end = follow(name);
      return { name, oid: end?.oid, symbolicTarget: end?.name };
    });
    return {
      read,
      follow,
      others: (directory, maxEntries) => {
        const below = others.filter(({ name }) => beginsWith(name, directory));
        if (below.length > maxEntries) throw new FallBackToGit('there are very many symbolic references');
        return Promise.resolve(below);
      },
      lines: () => Promise.resolve(lines),
    };
  }

  async sum(): Promise<RefSum> {
    const { stack, held } = this.#held();
    using _ = held;
    return await sumStack(stack);
  }

  /** Git refuses a directory whose HEAD file is damaged, although its HEAD is in a table. */
  #checkHead(): void {
    const file = `${this.#repository.path}/HEAD`;
    const head = orFallBack(() => this.#caches.heads.read(file, statSync(file)));
    if (head.toString('latin1') !== NO_HEAD) throw new FallBackToGit('the HEAD file is unusual');
  }

  #use<T>(read: (stack: Stack) => T): T {
    return this.#caches.stacks.use(this.#repository.path, this.#oidBytes(), read);
  }

  /** Returns the current stack with its files open, so that it stays readable. */
  #held(): { readonly stack: Stack; readonly held: Disposable } {
    return this.#use((stack) => ({ stack, held: stack.hold() }));
  }

  #oidBytes(): OidBytes {
    return OID_BYTES[this.#objectFormat()];
  }

  #objectFormat(): ObjectFormatName {
    const { objectFormat } = this.#repository.format;
    if (objectFormat === undefined) throw UNKNOWN_HASH;
    return objectFormat;
  }
}

function orFallBack<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    return fallBackOnVanished(error);
  }
}

const NAMESPACE = Buffer.from('refs/');

/** Sums of stacks, which never change. */
const known = new WeakMap<Stack, Promise<RefSum>>();

/**
 * Sums up the lines of the references of a stack whose files are held. Objects of references that
 * are not symbolic need not be looked up, as with packed ones.
 *
 * @throws {FallBackToGit} when only git knows the lines.
 */
function sumStack(stack: Stack): Promise<RefSum> {
  const summed = known.get(stack) ?? sum(stack);
  known.set(stack, summed);
  // A table may have been unreadable only at that time.
  summed.catch(() => known.delete(stack));
  return summed;
}

async function sum(stack: Stack): Promise<RefSum> {
  using _ = stack.hold();
  const xor = new Sha1Xor();
  const head = followRef((name) => stack.read(name), HEAD);
  if (head !== undefined) addChecksumLine(xor, head.oid, HEAD);
  for await (const refs of listStack(stack, { patterns: [NAMESPACE] }))
    for (const { name, oid } of refs)
      if (isChecksumLine(name.toString('latin1'))) addChecksumLine(xor, oid, name);
  return { words: xor.words(), oids: head === undefined ? [] : [head.oid] };
}
