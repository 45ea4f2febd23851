import { existsSync, utimesSync } from 'node:fs';
import type { ObjectDirectories } from '#git/command/git-directory';
import { withAlternates } from './alternates-file.ts';
import { isInPack, openPackNames } from './pack-names.ts';

/**
 * The objects that a repository already has, in its own directories or its alternates. The packs
 * are those at the first lookup.
 */
export class StoredObjects {
  readonly #directories: readonly string[];
  #packs: ReturnType<typeof openPackNames> | undefined;
  readonly #freshPacks = new Set<string>();

  constructor({ objectDirectory, alternateObjectDirectories }: ObjectDirectories) {
    this.#directories = withAlternates([objectDirectory, ...alternateObjectDirectories]);
  }

  /**
   * Updates the time of an existing object (or of its pack), which protects it from pruning, as git
   * does instead of writing it again. Returns `false` if it must be written.
   */
  freshen(oid: string): boolean {
    return (
      this.#directories.some((directory) => touch(loosePath(directory, oid))) || this.#freshenPacked(oid)
    );
  }

  #freshenPacked(oid: string): boolean {
    this.#packs ??= this.#directories.flatMap(openPackNames);
    const name = Buffer.from(oid, 'hex');
    return this.#packs.some((pack) => isInPack(pack, name) && this.#touchPack(pack.indexPath));
  }

  #touchPack(indexPath: string): boolean {
    if (!this.#freshPacks.has(indexPath) && !touch(indexPath.replace(/\.idx$/, '.pack'))) return false;
    this.#freshPacks.add(indexPath);
    return true;
  }
}

/** Returns the path of a loose object. */
export function loosePath(objectDirectory: string, oid: string): string {
  return `${objectDirectory}/${oid.slice(0, 2)}/${oid.slice(2)}`;
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
