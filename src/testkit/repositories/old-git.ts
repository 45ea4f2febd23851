import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes a script that runs the machine's git but reports the oldest supported version, so that no
 * newer feature is used. Tests then run both code paths on one machine.
 *
 * @returns its path in `directory`.
 */
export function writeOldGit(directory: string): string {
  const file = join(directory, 'old-git');
  const script = 'if [ "$1" = version ]; then echo git version 2.39.5; else exec git "$@"; fi';
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}
