import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { StoredBackend } from '#git/repository-files/repository-format';
import { cachedDirectory } from '#testkit/cached-directory';
import { runSync } from '#testkit/run-program-sync';

/** The script that builds an area's templates, if it does not have the area's name. */
const SCRIPT_OF_AREA: Readonly<Record<string, string>> = {
  smarthttp: 'repository',
  misc: 'repository',
  objectpool: 'repository',
  'repository-backup': 'repository',
  'repository-remote': 'repository',
  'repository-wal': 'repository',
  hook: 'operations',
  conflicts: 'operations',
  'commit-files': 'operations',
};

/** Objects that nothing needs are removed at an age of 30 minutes (PruneUnreachableObjects). */
const MADE_AGAIN_MS = 15 * 60_000;

/**
 * Since 2.41 git writes reverse indexes next to packs by default, and the recordings count them.
 */
export const AS_NEWER_GIT = {
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'pack.writeReverseIndex',
  GIT_CONFIG_VALUE_0: 'true',
};

/**
 * The template repositories of an area, made by git, in a temporary directory that is removed with
 * this object.
 */
export class Templates implements Disposable {
  readonly directory: string;

  /**
   * Makes the templates. @param referenceBackend with `reftable`, those that git can migrate have
   * this format; the others are as they were recorded.
   */
  constructor(area: string, referenceBackend: StoredBackend = 'files') {
    this.directory = mkdtempSync(join(tmpdir(), 'golden-templates-'));
    copy(madeTemplates(SCRIPT_OF_AREA[area] ?? area), this.directory);
    if (referenceBackend === 'reftable') migrateAll(this.directory);
  }

  /**
   * Reports whether the template exists; false if this machine's git could not create it (reftable
   * before 2.45).
   */
  has(name: string): boolean {
    return existsSync(join(this.directory, `${name}.git`));
  }

  /** Copies a template to `<storage>/<name>.git`. */
  copyTo(name: string, storage: string): void {
    const target = join(storage, `${name}.git`);
    mkdirSync(dirname(target), { recursive: true });
    copy(join(this.directory, `${name}.git`), target);
  }

  /** Copies a file or a directory of a template to the same place in its copy. */
  copyPart(name: string, path: string, storage: string): void {
    copy(join(this.directory, `${name}.git`, path), join(storage, `${name}.git`, path));
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Migrates the references of the templates in a directory, except of those that git refuses. */
function migrateAll(directory: string): void {
  for (const name of readdirSync(directory)) {
    const cwd = join(directory, name);
    if (name.endsWith('.git')) runSync('git', ['refs', 'migrate', '--ref-format=reftable'], { cwd });
  }
}

/**
 * Returns the directory of the templates of a script, which runs once for several areas and
 * processes; again after a while, because maintenance removes files by their age.
 */
function madeTemplates(name: string): string {
  const script = join(import.meta.dirname, 'repos', `${name}.sh`);
  const git = execFileSync('git', ['version'], { encoding: 'utf8' });
  const facts = [
    readFileSync(script, 'utf8'),
    git,
    process.getuid?.(),
    Math.floor(Date.now() / MADE_AGAIN_MS),
  ];
  const made = cachedDirectory(`golden-${name}`, facts);
  if (!existsSync(made.path)) {
    execFileSync('sh', [script, made.draft], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...AS_NEWER_GIT },
    });
    made.keep();
  }
  return made.path;
}

function copy(from: string, to: string): void {
  cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
}
