/** Programs in place of PostgreSQL's, for tests of how they are started and stopped. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Returns the text of a `postmaster.pid`. @param pid of the server; in a script, `$$`. */
export function pidFileText(pid: number | string, state: string): string {
  return [pid, '/data', 0, 5432, '/run', '', '', state, ''].join('\n');
}

/**
 * Writes programs into a directory, and returns it. `initdb` makes nothing.
 *
 * @param script lines of shell that are the server; `$2` is the directory of its data.
 */
export function scriptedPostgres(directory: string, script: readonly string[]): string {
  const programs = join(directory, 'programs');
  mkdirSync(programs);
  chmodSync(directory, 0o711);
  for (const [name, lines] of Object.entries({ initdb: [], postgres: script })) {
    writeFileSync(join(programs, name), ['#!/bin/sh', ...lines, ''].join('\n'));
    chmodSync(join(programs, name), 0o755);
  }
  return programs;
}

/** Line of shell with which a scripted server writes its pid file. */
export function pidFileCommand(pid: string, state: string): string {
  return `cat > "$2/postmaster.pid" <<END\n${pidFileText(pid, state)}END`;
}
