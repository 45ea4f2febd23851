import { readFileSync } from 'node:fs';

let version: string | undefined;

/** The version of this package, as in its package.json (three folders up from here, in `src` and in `dist`). */
export function packageVersion(): string {
  if (version === undefined) {
    const manifest: unknown = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
    const found = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : undefined;
    version = typeof found === 'string' ? found : 'unknown';
  }
  return version;
}

/** What `--version` prints: `Gitaly, version 1.2.3`. */
export function versionString(program: string): string {
  return `${program}, version ${packageVersion()}`;
}
