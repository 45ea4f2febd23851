import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A script that is the machine's git but calls itself the oldest version that is supported, so that nothing newer is used of it: both ways of
 * doing a thing are tried on one machine.
 *
 * @returns its path in `directory`.
 */
export function writeOldGit(directory: string): string {
  const file = join(directory, 'old-git');
  const script = 'if [ "$1" = version ]; then echo git version 2.39.5; else exec git "$@"; fi';
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}
