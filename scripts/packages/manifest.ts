import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './run.ts';

/** The fields of package.json that are read here. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  /** Packages for buckets, which users add. */
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional: boolean }>>;
  readonly [field: string]: unknown;
}

/** Declarations of the entry points use Node's types; a program in JavaScript needs none. */
export const NODE_TYPES = {
  peerDependencies: { '@types/node': '>=24' },
  peerDependenciesMeta: { '@types/node': { optional: true } },
};

export function rootManifest(): Manifest {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
}

/** Returns the fields that are the same in all packages. */
export function commonFields(): Pick<Manifest, 'version'> & Readonly<Record<string, unknown>> {
  const { version, license, engines } = rootManifest();
  const url = repositoryUrl();
  return {
    version,
    license,
    ...(url !== undefined && { repository: { type: 'git', url } }),
    type: 'module',
    engines,
    ...NODE_TYPES,
  };
}

/** Returns one entry of `exports`: a file of `dist/entry/`, and the module with its declarations. */
export function exportOf({ file, module }: { readonly file: string; readonly module: string }): object {
  const code = `./dist/entry/${file}.js`;
  return {
    require: { types: `./dist/entry/${file}.d.cts`, default: code },
    types: `./dist/${module}.d.ts`,
    default: code,
  };
}

/**
 * Returns the repository that the packages are built from; `undefined` if it has no public address.
 * npm's proof of origin compares it with the repository of the release job.
 */
function repositoryUrl(): string | undefined {
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env;
  if (GITHUB_SERVER_URL && GITHUB_REPOSITORY) return `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git`;
  const { stdout } = spawnSync('git', ['remote', 'get-url', 'origin'], { cwd: ROOT, encoding: 'utf8' });
  const origin = (stdout ?? '').trim();
  return /^https:\/\/[^@]+$/.test(origin) ? `git+${origin}` : undefined;
}
