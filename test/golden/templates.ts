import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

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

/**
 * Since 2.41 git writes reverse indexes next to packs by default, and the recordings count them.
 */
export const AS_NEWER_GIT = {
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'pack.writeReverseIndex',
  GIT_CONFIG_VALUE_0: 'true',
};

/**
 * The template repositories of an area, built by git in a temporary directory that is removed with
 * this object.
 */
export class Templates implements Disposable {
  readonly directory: string;

  constructor(area: string) {
    this.directory = mkdtempSync(join(tmpdir(), 'golden-templates-'));
    const script = join(import.meta.dirname, 'repos', `${SCRIPT_OF_AREA[area] ?? area}.sh`);
    execFileSync('sh', [script, this.directory], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...AS_NEWER_GIT },
    });
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
    cpSync(join(this.directory, `${name}.git`), target, {
      recursive: true,
      preserveTimestamps: true,
      verbatimSymlinks: true,
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
