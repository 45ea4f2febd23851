import { createHash } from 'node:crypto';
import { globSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Not under version control. */
const CACHE = join(import.meta.dirname, '../../.cache');

/** A directory that tests make once and copy. */
export interface CachedDirectory {
  readonly path: string;
  /** Path at which it is made, which no other process uses. */
  readonly draft: string;
  /** Puts the draft in its place, instead of those of other facts. */
  keep(): void;
}

/** Returns the place of a directory that depends on these facts alone. */
export function cachedDirectory(name: string, facts: unknown): CachedDirectory {
  const hash = createHash('sha1').update(JSON.stringify(facts)).digest('hex').slice(0, 12);
  const path = join(CACHE, `${name}-${hash}`);
  const draft = `${path}.${process.pid}`;
  mkdirSync(CACHE, { recursive: true });
  return {
    path,
    draft,
    keep() {
      const hashed = new RegExp(`/${name}-[0-9a-f]{12}$`);
      for (const old of globSync(join(CACHE, `${name}-*`)).filter((each) => hashed.test(each)))
        if (old !== path) rmSync(old, { recursive: true, force: true });
      try {
        renameSync(draft, path);
      } catch {
        rmSync(draft, { recursive: true, force: true }); // another process was faster
      }
    },
  };
}
