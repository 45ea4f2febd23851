import { chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { messageOf } from '#base/gitaly-error';

/** Programs of this package that git starts. */
export const HELPERS = ['gitaly-hooks', 'gitaly-lfs-smudge'] as const;
export type Helper = (typeof HELPERS)[number];

export interface PrivateProgramsOptions {
  /** Copies the programs; otherwise those of the package are used, and an upgrade replaces them. */
  readonly copies: boolean;
  readonly onProblem: (error: string) => void;
}

/** Delay after which the copying of a hundred files slows down neither the start nor first calls. */
const COPY_AFTER_MS = 10_000;
/** The package that this code belongs to. */
const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Imports of files in bundled code, also those at the first use. */
const IMPORT = /(?:\bfrom|\bimport) ?\(? ?['"](?<specifier>\.[^'"\s]+)['"]/g;

/**
 * The programs that git starts, below the runtime directory: `bin/<name>`. They are links to the
 * package, and, once they are copied in the background, to the copy. So an upgrade of the package
 * does not change or break the programs of a running server.
 */
export class PrivatePrograms implements AsyncDisposable {
  readonly #directory: string;
  readonly #ending = new AbortController();
  #copying: Promise<void> = Promise.resolve();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Creates the links.
   *
   * @param runtimeDirectory its owner removes it, after this object.
   */
  static create(runtimeDirectory: string, options: PrivateProgramsOptions): PrivatePrograms {
    const programs = new PrivatePrograms(runtimeDirectory);
    mkdirSync(join(runtimeDirectory, 'bin'), { recursive: true });
    for (const name of HELPERS) symlinkSync(join(PACKAGE_ROOT, 'bin', name), programs.path(name));
    if (options.copies) {
      programs.#copying = programs.#copy().catch((error: unknown) => {
        if (!programs.#ending.signal.aborted) options.onProblem(messageOf(error));
      });
    }
    return programs;
  }

  /** Returns the path of a program, which stays the same. */
  path(name: Helper): string {
    return join(this.#directory, 'bin', name);
  }

  /** Resolves when the programs are copied. */
  async copied(): Promise<void> {
    await this.#copying;
  }

  /** Ends the copying. The files stay until the runtime directory is removed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#copying;
  }

  async #copy(): Promise<void> {
    await delay(COPY_AFTER_MS, undefined, { signal: this.#ending.signal, ref: false });
    const target = join(this.#directory, 'programs');
    await mkdir(join(target, 'bin'), { recursive: true });
    await copyFile(join(PACKAGE_ROOT, 'package.json'), join(target, 'package.json'));
    await this.#copyModules(target);
    this.#ending.signal.throwIfAborted();
    for (const name of HELPERS) {
      const launcher = join(target, 'bin', name);
      const entry = join(target, 'dist/cli', `${name}.js`);
      writeFileSync(
        launcher,
        `#!/bin/sh\nexec ${quoted(process.execPath)} --title=${name} ${quoted(entry)} "$@"\n`,
      );
      chmodSync(launcher, 0o500);
      symlinkSync(launcher, `${this.path(name)}.next`);
      renameSync(`${this.path(name)}.next`, this.path(name));
    }
  }

  /** Copies all modules that the helpers import. The packages that they need are bundled in these. */
  async #copyModules(target: string): Promise<void> {
    const dist = join(PACKAGE_ROOT, 'dist');
    const waiting = HELPERS.map((name) => join(dist, 'cli', `${name}.js`));
    const seen = new Set(waiting);
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      this.#ending.signal.throwIfAborted();
      const code = await readFile(file, 'utf8');
      const copy = join(target, relative(PACKAGE_ROOT, file));
      await mkdir(dirname(copy), { recursive: true });
      await writeFile(copy, code);
      for (const { groups } of code.matchAll(IMPORT)) {
        const imported = join(dirname(file), groups?.specifier ?? '');
        if (seen.has(imported)) continue;
        seen.add(imported);
        waiting.push(imported);
      }
    }
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
