import { readFileSync } from 'node:fs';
import { JsonFields } from '#base/json-fields';

let version: string | undefined;

/**
 * Returns the version of this package, from its package.json (three folders up from here, in `src`
 * and in `dist`).
 */
export function packageVersion(): string {
  if (version === undefined) {
    const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
    version = JsonFields.parse(manifest)?.text('version') ?? 'unknown';
  }
  return version;
}

/** Returns the output of `--version`: `Gitaly, version 1.2.3`. */
export function versionString(program: string): string {
  return `${program}, version ${packageVersion()}`;
}

/**
 * Gitaly release whose protocol and behaviour this version has. Clients compare it: Rails calls a
 * server outdated whose version is not its own (`GITALY_SERVER_VERSION`).
 */
export const GITALY_RELEASE = '19.0.0';
