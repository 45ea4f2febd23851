import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { MINIMUM_NODE } from '#platform/process/minimum-node';

/** The first `node` of the PATH that is too old to run the programs. */
export const oldNode: string | undefined = (process.env.PATH ?? '')
  .split(delimiter)
  .map((directory) => join(directory, 'node'))
  .find((path) => {
    const version = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? '';
    return version.startsWith('v') && Number.parseInt(version.slice(1), 10) < MINIMUM_NODE;
  });

/** Reason to skip a test that needs {@link oldNode}; `false` if there is one. */
export const NO_OLD_NODE: string | false = oldNode === undefined && 'no old Node on the PATH';
