import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Templates } from './templates.ts';

/** Entries of a storage that belong to the server. */
const OF_SERVER: ReadonlySet<string> = new Set(['+gitaly', '.gitaly-metadata']);
/** Files of a repository that processes of git keep open or in memory. */
const KEPT_BY_GIT = /^(?:config$|objects\/(?:pack|info)\/)/;

/** Paths of a tree with what changes when an entry is changed or replaced. */
type Marks = ReadonlyMap<string, string>;

/**
 * A storage with copies of templates. Between two cases it restores what the first has changed: to
 * copy a repository takes longer than most calls.
 */
export class StorageCopy {
  readonly #path: string;
  readonly #templates: Templates;
  /** The entries of each copy when it was made, by the template's name. */
  readonly #copies = new Map<string, Marks>();

  readonly #mayRepair: boolean;

  /** @param options.mayRepair False where something follows which directories are new. */
  constructor(path: string, templates: Templates, { mayRepair }: { readonly mayRepair: boolean }) {
    this.#path = path;
    this.#templates = templates;
    this.#mayRepair = mayRepair;
  }

  /**
   * Makes the storage consist of these templates, except for the server's own files.
   *
   * @param options.isAnew copies all: no process of git runs in a new directory.
   * @param options.isIntact `isRestored` was true, and nothing has run since.
   */
  restore(names: readonly string[], { isAnew = false, isIntact = false } = {}): void {
    const kept = this.#mayRepair && !isAnew ? names : [];
    for (const path of this.#others(kept)) rmSync(join(this.#path, path), { recursive: true, force: true });
    for (const name of this.#copies.keys()) if (!kept.includes(name)) this.#copies.delete(name);
    for (const name of names) if (!isIntact || !this.#copies.has(name)) this.#restoreCopy(name);
  }

  /** Reports whether the storage is as `restore` has left it. */
  isRestored(): boolean {
    return (
      this.#others([...this.#copies.keys()]).length === 0 &&
      [...this.#copies].every(([name, marks]) => changesOf(marks, marksOf(this.#pathOf(name))).length === 0)
    );
  }

  #restoreCopy(name: string): void {
    const made = this.#copies.get(name);
    const directory = this.#pathOf(name);
    const changed = made === undefined ? [] : changesOf(made, marksOf(directory));
    if (made !== undefined && changed.length === 0) return;
    if (made === undefined || changed.some(isReasonToCopyAll)) {
      rmSync(directory, { recursive: true, force: true });
      this.#templates.copyTo(name, this.#path);
    } else {
      for (const path of changed) rmSync(join(directory, path), { recursive: true, force: true });
      // A directory comes before what is in it.
      for (const path of changed.filter((path) => made.has(path)).sort())
        this.#templates.copyPart(name, path, this.#path);
    }
    this.#copies.set(name, marksOf(directory));
  }

  #pathOf(name: string): string {
    return join(this.#path, `${name}.git`);
  }

  /** Returns the paths of what does not belong to these copies. */
  #others(names: readonly string[], folder = ''): string[] {
    return readdirSync(join(this.#path, folder)).flatMap((entry) => {
      const path = join(folder, entry);
      if (OF_SERVER.has(path) || names.some((name) => path === `${name}.git`)) return [];
      return names.some((name) => name.startsWith(`${path}/`)) ? this.#others(names, path) : [path];
    });
  }
}

function isReasonToCopyAll(path: string): boolean {
  return path === '' || KEPT_BY_GIT.test(path) || /[^ -~]/.test(path);
}

/** Returns the paths that have been added, changed or removed. */
function changesOf(before: Marks, after: Marks): string[] {
  const changed = [...after].filter(([path, mark]) => before.get(path) !== mark).map(([path]) => path);
  return [...changed, ...[...before.keys()].filter((path) => !after.has(path))];
}

/** Returns the marks of a directory, whose own path is `''`, and of what is in it. */
function marksOf(directory: string): Marks {
  const marks = new Map<string, string>();
  // Thousands of paths a second: `join` would take a fifth of the time.
  const add = (path: string): void => {
    const whole = path === '' ? directory : `${directory}/${path}`;
    const stat = lstatSync(whole, { throwIfNoEntry: false });
    if (stat === undefined) {
      // A name that is not UTF-8 comes from `readdir` as another one.
      if (path !== '') marks.set(path, 'unreadable');
      return;
    }
    const { ctimeMs, ino, mode, size } = stat;
    // What was in a directory for a while, such as a lock, changes only its times.
    marks.set(path, stat.isDirectory() ? `${mode}` : `${mode} ${ino} ${size} ${ctimeMs}`);
    if (!stat.isDirectory()) return;
    for (const name of readdirSync(whole)) add(path === '' ? name : `${path}/${name}`);
  };
  add('');
  return marks;
}
