import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from './manifest.ts';
import { ROOT, run } from './run.ts';

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Returns the list of a package's components (CycloneDX, JSON): the package and all that is
 * installed with it, with the versions and checksums of the project's lockfile.
 *
 * @param work a folder to create; its last name is that of the package
 */
export function componentsOf(manifest: Manifest, work: string): string {
  const lock: { packages: Record<string, LockedPackage> } = JSON.parse(
    readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
  );
  const needed = new Set<string>();
  const add = (entry: LockedPackage): void => {
    for (const name of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) {
      const path = `node_modules/${name}`;
      const locked = lock.packages[path];
      if (locked === undefined || needed.has(path)) continue;
      needed.add(path);
      add(locked);
    }
  };
  add(manifest);
  const packages = Object.fromEntries([...needed].map((path) => [path, lock.packages[path]]));
  const { name, version } = manifest;
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, 'package.json'), JSON.stringify(manifest));
  writeFileSync(
    join(work, 'package-lock.json'),
    JSON.stringify({ name, version, lockfileVersion: 3, packages: { '': manifest, ...packages } }),
  );
  return run('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], work);
}
