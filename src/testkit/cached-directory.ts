import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

/** Not under version control. */
const CACHE = join(import.meta.dirname, '../../.cache');

/**
 * Age from which an unused directory is removed; a test run is shorter. Processes with other facts,
 * such as another git, may run at the same time.
 */
const UNUSED_MS = 2 * 3_600_000;

/** A directory that tests make once and copy. */
export interface CachedDirectory {
  readonly path: string;
  /** Path at which it is made; no other process uses this path. */
  readonly draft: string;
  /**
   * Moves the draft to its place, and removes directories of other facts that were not used for
   * hours.
   */
  keep(): void;
}

/** Returns the place of a directory that depends on these facts alone. */
export function cachedDirectory(name: string, facts: unknown): CachedDirectory {
  const hash = createHash('sha1').update(JSON.stringify(facts)).digest('hex').slice(0, 12);
  const path = join(CACHE, `${name}-${hash}`);
  const draft = `${path}.${process.pid}`;
  mkdirSync(CACHE, { recursive: true });
  if (existsSync(path)) noteUse(path);
  return {
    path,
    draft,
    keep() {
      const hashed = new RegExp(`/${name}-[0-9a-f]{12}$`);
      for (const old of globSync(join(CACHE, `${name}-*`)).filter((each) => hashed.test(each))) {
        const used = statSync(old, { throwIfNoEntry: false }); // another process may be removing it
        if (old !== path && used !== undefined && Date.now() - used.mtimeMs > UNUSED_MS)
          rmSync(old, { recursive: true, force: true });
      }
      noteUse(draft);
      try {
        renameSync(draft, path);
      } catch (error) {
        rmSync(draft, { recursive: true, force: true });
        if (!existsSync(path)) throw error; // else another process was faster
      }
    },
  };
}

function noteUse(directory: string): void {
  const now = new Date();
  utimesSync(directory, now, now);
}
