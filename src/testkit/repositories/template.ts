import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeScratchDirectory } from '../scratch-directory.ts';

/** A directory or a file of a {@link Template}. */
interface Entry {
  /** Below the template's directory. */
  readonly path: string;
  readonly mode: number;
  /** `undefined` for a directory. */
  readonly content: Buffer | undefined;
}

/** A small directory tree, kept in memory, of which copies are made: without starting a program. */
export class Template {
  readonly #entries: readonly Entry[];

  /** @param make creates the tree at a path, where there is nothing. */
  constructor(make: (path: string) => void) {
    const directory = makeScratchDirectory('template');
    try {
      const tree = join(directory, 'tree');
      make(tree);
      // A directory comes before what is in it.
      this.#entries = ['', ...readdirSync(tree, { recursive: true, encoding: 'utf8' })].map((path) => {
        const stat = statSync(join(tree, path));
        const content = stat.isDirectory() ? undefined : readFileSync(join(tree, path));
        return { path, mode: stat.mode & 0o7777, content };
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  /** Writes a copy. The directory may exist if it is empty. */
  copyTo(directory: string): void {
    for (const { path, mode, content } of this.#entries) {
      if (content === undefined) mkdirSync(join(directory, path), { recursive: true });
      else writeFileSync(join(directory, path), content, { mode, flag: 'wx' });
    }
  }
}
