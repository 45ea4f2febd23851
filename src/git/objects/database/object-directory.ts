import { readdirSync, readFileSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { type FileStamp, fileStamp, isSettled, NO_FILE, stampOf } from '#base/files/file-stamp';
import { systemErrorCode } from '#base/go/system-error';
import { FallBackToGit } from '#git/in-process';
import type { Oid } from '../object-id.ts';
import type { ObjectType } from '../object-info.ts';
import { alternateLines } from '../write/alternates-file.ts';
import { LIMITS } from './limits.ts';
import { readLooseObject } from './loose-object.ts';
import { ListedPack, type OpenPacks } from './open-packs.ts';

/** An object of a directory; `data` only if it was requested and is small. */
export interface StoredObject {
  readonly type: ObjectType;
  readonly size: number;
  readonly data: Buffer | undefined;
}

const INDEX = '.idx';

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
  /** Object directories that `info/alternates` names. */
  alternates: readonly string[] = [];
  /** The iteration of the event loop in which it was refreshed. */
  checkedIn = 0;
  lastUsedAt = 0;
  readonly #open: OpenPacks;
  /** The last pack in which an object was found is the first. */
  #packs: ListedPack[] = [];
  #packStamp: FileStamp | undefined;
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
    const stamp = fileStamp(this.#alternatesFile);
    if (stamp === this.#alternatesStamp) return;
    this.alternates = this.#readAlternates();
    this.#alternatesStamp = stamp;
    this.version++;
  }

  /**
   * Finds an object in the packs by its binary id.
   *
   * @throws {FallBackToGit} when it cannot be read in process; the system's error.
   */
  findPacked(name: Buffer, wantsData: boolean): StoredObject | undefined {
    if (this.#packs.length > LIMITS.packs) throw new FallBackToGit('there are too many packs');
    for (const [index, listed] of this.#packs.entries()) {
      const pack = listed.open();
      const offset = pack.offsetOf(name);
      if (offset === undefined) continue;
      if (index > 0) this.#packs = [listed, ...this.#packs.filter((other) => other !== listed)];
      if (!wantsData) return { ...pack.infoAt(offset), data: undefined };
      const { type, data } = pack.objectAt(offset);
      return { type, data, size: data.length };
    }
    return undefined;
  }

  /** Finds a loose object. @throws as {@link findPacked}. */
  findLoose(oid: Oid): StoredObject | undefined {
    return readLooseObject(this.path, oid);
  }

  close(): void {
    for (const pack of this.#packs) pack.close();
    this.#packs = [];
    this.#packStamp = undefined;
    this.#isSettled = false;
  }

  #refreshPacks(): void {
    const directory = `${this.path}/pack`;
    const stats = statSync(directory, { throwIfNoEntry: false });
    const stamp = stats === undefined ? NO_FILE : stampOf(stats);
    if (stamp === this.#packStamp && this.#isSettled) return;
    const stems = stats === undefined ? [] : listPacks(directory);
    const isSame =
      stems.length === this.#packs.length && this.#packs.every(({ stem }) => stems.includes(stem));
    if (!isSame) {
      const known = new Map(this.#packs.map((pack) => [pack.stem, pack]));
      this.#packs = stems.map((stem) => known.get(stem) ?? new ListedPack(stem, this.#open, this.oidBytes));
      for (const pack of this.#packs) known.delete(pack.stem);
      for (const gone of known.values()) gone.close();
    }
    if (!isSame || stamp !== this.#packStamp) this.version++;
    this.#packStamp = stamp;
    this.#isSettled = stats === undefined || isSettled(stats, Date.now());
  }

  get #alternatesFile(): string {
    return `${this.path}/info/alternates`;
  }

  #readAlternates(): string[] {
    try {
      const lines = alternateLines(readFileSync(this.#alternatesFile, 'utf8'));
      return lines.map((line) => posix.resolve(this.path, line));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

/** Returns the paths of the packs in a directory, without the ends of their names. */
function listPacks(directory: string): string[] {
  const names = new Set(readdirSync(directory));
  return [...names]
    .filter((name) => name.endsWith(INDEX) && names.has(`${name.slice(0, -INDEX.length)}.pack`))
    .map((name) => `${directory}/${name.slice(0, -INDEX.length)}`);
}
