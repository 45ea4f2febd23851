import { existsSync, statSync } from 'node:fs';
import { type FileStamp, fileStamp, isSettled, NO_FILE, stampOf } from '#base/files/file-stamp';
import { FallBackToGit } from '#git/command/in-process';
import type { Oid } from '#git/names/object-id';
import type { ObjectType } from '#git/names/object-info';
import { alternatesFileOf, readAlternatesOf } from '#git/repository-files/alternates-file';
import { READ_LIMITS } from './limits.ts';
import { loosePath, readLooseObject } from './loose-object.ts';
import { MultiPackIndex } from './multi-pack-index.ts';
import { ListedFile, type OpenPacks } from './open-packs.ts';
import { Pack } from './pack.ts';
import { packNamesIn, packsAmong } from './pack-directory.ts';

/** An object of a directory; `data` only if it was requested and is small. */
export interface DirectoryObject {
  readonly type: ObjectType;
  readonly size: number;
  readonly data: Buffer | undefined;
}

/** Where a pack has an object. */
export interface StoredEntry {
  /** Path of the pack, without `.pack`. */
  readonly stem: string;
  readonly offset: number;
}

/** A pack with an object. */
interface PackedAt {
  readonly listed: ListedFile<Pack>;
  readonly offset: number;
}

const MULTI_PACK_INDEX = 'multi-pack-index';
const MANY_PACKS = new FallBackToGit('there are too many packs');
const NO_NAMES: ReadonlySet<string> = new Set();

let lastId = 0;

/**
 * A directory with objects: the packs and alternates it lists, as of the last {@link refresh}.
 * Loose objects are looked up on disk.
 */
export class ObjectDirectory {
  /** Different for each; never reused. */
  readonly id = ++lastId;
  readonly path: string;
  /** Changes when packs or alternates have changed. */
  version = 0;
  /** False if there is no such directory; git then refuses the repositories that use it. */
  exists = true;
  /** Object directories that `info/alternates` names. */
  alternates: readonly string[] = [];
  /** The iteration of the event loop in which it was refreshed. */
  checkedIn = 0;
  lastUsedAt = 0;
  readonly #open: OpenPacks;
  /** By path, without `.pack`. */
  #packs: ReadonlyMap<string, ListedFile<Pack>> = new Map();
  #multiPackIndex: ListedFile<MultiPackIndex> | undefined;
  #multiPackStamp: FileStamp = NO_FILE;
  /** Packs that it does not list. The last one in which an object was found is the first. */
  #unlisted: ListedFile<Pack>[] = [];
  #packStamp: FileStamp | undefined;
  /** True if the directory of packs has more files than are listed. */
  #isCrowded = false;
  /** True if any later change of the directory of packs changes its stamp. */
  #isSettled = false;
  #alternatesStamp: FileStamp = NO_FILE;
  readonly oidBytes: number;

  constructor(path: string, open: OpenPacks, oidBytes: number) {
    this.path = path;
    this.#open = open;
    this.oidBytes = oidBytes;
  }

  /** Lists packs and alternates again if they may have changed. @throws the system's error. */
  refresh(): void {
    this.#refreshPacks();
    const stamp = fileStamp(alternatesFileOf(this.path));
    if (stamp === this.#alternatesStamp) return;
    this.alternates = readAlternatesOf(this.path);
    this.#alternatesStamp = stamp;
    this.version++;
  }

  /**
   * Finds an object in the packs by its binary id.
   *
   * @throws {FallBackToGit} when it cannot be read in process; the system's error.
   */
  findPacked(name: Buffer, wantsData: boolean): DirectoryObject | undefined {
    const [place] = this.#placesOf(name);
    return place && read(place.listed.open(), place.offset, wantsData);
  }

  /**
   * Returns where a pack has an object, by its binary id.
   *
   * @returns `undefined` if no pack has it.
   * @throws as {@link findPacked}.
   */
  entryOf(name: Buffer): StoredEntry | undefined {
    const [place] = this.#placesOf(name);
    return place && { stem: place.listed.path, offset: place.offset };
  }

  /** Opens a pack; `undefined` if it is not here. @throws as {@link findPacked}. */
  pack(stem: string): Pack | undefined {
    return this.#packs.get(stem)?.open();
  }

  /**
   * Lists the files that may hold an object, by its id: a loose one, which need not exist, and the
   * packs whose index has it.
   *
   * @throws as {@link findPacked}.
   */
  *filesWith(oid: Oid): Generator<string, void> {
    yield loosePath(this.path, oid);
    for (const { listed } of this.#placesOf(Buffer.from(oid, 'hex'))) yield `${listed.path}.pack`;
  }

  /** Finds a loose object. @throws as {@link findPacked}. */
  findLoose(oid: Oid): DirectoryObject | undefined {
    return readLooseObject(this.path, oid);
  }

  close(): void {
    for (const pack of this.#packs.values()) pack.close();
    this.#multiPackIndex?.close();
    this.#packs = new Map();
    this.#unlisted = [];
    this.#multiPackIndex = undefined;
    this.#multiPackStamp = NO_FILE;
    this.#packStamp = undefined;
    this.#isSettled = false;
  }

  /** Lists the packs with an object. The search ends with the reader. */
  *#placesOf(name: Buffer): Generator<PackedAt, void> {
    if (this.#isCrowded) throw MANY_PACKS;
    const place = this.#multiPackIndex?.open().find(name);
    const indexed = place && this.#packs.get(this.#pathOf(place.stem));
    if (indexed !== undefined) yield { listed: indexed, offset: place?.offset ?? 0 };
    if (this.#unlisted.length > READ_LIMITS.packs) throw MANY_PACKS;
    for (const [index, listed] of this.#unlisted.entries()) {
      const offset = listed.open().offsetOf(name);
      if (offset === undefined) continue;
      if (index > 0) this.#unlisted = [listed, ...this.#unlisted.filter((other) => other !== listed)];
      yield { listed, offset };
    }
  }

  #refreshPacks(): void {
    const directory = `${this.path}/pack`;
    const stats = statSync(directory, { throwIfNoEntry: false });
    const stamp = stats === undefined ? NO_FILE : stampOf(stats);
    this.exists = stats !== undefined || existsSync(this.path);
    if (stamp === this.#packStamp && this.#isSettled) return;
    const names = stats === undefined ? NO_NAMES : packNamesIn(directory);
    this.#isCrowded = names === undefined;
    const isSame = this.#setPacks(packsAmong(names ?? NO_NAMES, directory));
    const hasNewIndex = this.#refreshMultiPackIndex(directory, names ?? NO_NAMES);
    if (!isSame || hasNewIndex) {
      const listed = this.#multiPackIndex?.open().stems.map((stem) => this.#pathOf(stem));
      const inIndex = new Set(listed);
      this.#unlisted = [...this.#packs.values()].filter(({ path }) => !inIndex.has(path));
    }
    if (!isSame || stamp !== this.#packStamp) this.version++;
    this.#packStamp = stamp;
    this.#isSettled = stats === undefined || isSettled(stats, Date.now());
  }

  /** Replaces the packs, closes those that are gone, and reports whether there was no change. */
  #setPacks(paths: readonly string[]): boolean {
    const known = this.#packs;
    if (paths.length === known.size && paths.every((path) => known.has(path))) return true;
    const open = this.#open;
    this.#packs = new Map(
      paths.map((path) => [
        path,
        known.get(path) ?? new ListedFile(path, () => new Pack(path, open.caches, this.oidBytes), open),
      ]),
    );
    for (const [path, pack] of known) if (!this.#packs.has(path)) pack.close();
    return false;
  }

  /** Replaces the multi-pack-index if it has changed, and reports whether it has. */
  #refreshMultiPackIndex(directory: string, names: ReadonlySet<string>): boolean {
    const path = `${directory}/${MULTI_PACK_INDEX}`;
    const stamp = names.has(MULTI_PACK_INDEX) ? fileStamp(path) : NO_FILE;
    if (stamp === this.#multiPackStamp) return false;
    this.#multiPackIndex?.close();
    const { pages } = this.#open.caches;
    this.#multiPackIndex =
      stamp === NO_FILE
        ? undefined
        : new ListedFile(path, () => new MultiPackIndex(path, pages, this.oidBytes), this.#open);
    this.#multiPackStamp = stamp;
    return true;
  }

  #pathOf(stem: string): string {
    return `${this.path}/pack/${stem}`;
  }
}

function read(pack: Pack, offset: number, wantsData: boolean): DirectoryObject {
  if (!wantsData) return { ...pack.infoAt(offset), data: undefined };
  const { type, data } = pack.objectAt(offset);
  return { type, data, size: data.length };
}
