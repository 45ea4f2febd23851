import { existsSync, utimesSync } from 'node:fs';
import { systemErrorCode } from '#base/go/system-error';
import { FallBackToGit } from '#git/command/in-process';
import type { Oid } from '#git/names/object-id';
import type { ObjectReader } from '../object-reader.ts';

const PACK = '.pack';

/** The objects that a repository already has, in its own directories or its alternates. */
export class StoredObjects {
  readonly #objects: ObjectReader;
  readonly #freshPacks = new Set<string>();

  constructor(objects: ObjectReader) {
    this.#objects = objects;
  }

  /**
   * Updates the time of an existing object (or of its pack), which protects it from pruning, as git
   * does instead of writing it again. Returns `false` if it must be written: cruft packs protect no
   * object, and it is harmless to write one that only git finds.
   */
  freshen(oid: Oid): boolean {
    try {
      for (const path of this.#objects.filesWith(oid)) {
        if (path.endsWith(PACK) ? this.#touchPack(path) : touch(path)) return true;
      }
      return false;
    } catch (error) {
      if (!(error instanceof FallBackToGit) && systemErrorCode(error) === undefined) throw error;
      return false;
    }
  }

  #touchPack(path: string): boolean {
    if (this.#freshPacks.has(path)) return true;
    if (existsSync(`${path.slice(0, -PACK.length)}.mtimes`) || !touch(path)) return false;
    this.#freshPacks.add(path);
    return true;
  }
}

function touch(path: string): boolean {
  if (!existsSync(path)) return false;
  const now = new Date();
  try {
    utimesSync(path, now, now);
    return true;
  } catch {
    // Removed meanwhile, or owned by another user: git writes the object then.
    return false;
  }
}
