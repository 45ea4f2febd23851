import { spawnSync } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';

/** Changes with the record of each run. */
const RECORDS = /\ttest\/records\.json\n/;

/**
 * Returns the seed of a run's random choices. It follows from the sources and tests of the checked
 * out commit: a run of the same commit tries the same again wherever it is made, and every change
 * tries something else. Outside a checkout it is random.
 */
export function commitSeed(cwd: string): number {
  const { status, stdout } = spawnSync('git', ['ls-tree', '-r', 'HEAD', '--', 'src', 'test'], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) return randomInt(2 ** 31);
  const files = stdout.split(/(?<=\n)/).filter((line) => !RECORDS.test(line));
  return createHash('sha256').update(files.join('')).digest().readUInt32BE() >>> 1;
}
