import { readdirSync, readlinkSync } from 'node:fs';
import { sep } from 'node:path';

const DESCRIPTORS = '/proc/self/fd';

/**
 * Returns how many open descriptors of this process lead to a file below `directory`, deleted ones
 * included. A count of all descriptors would include those that earlier tests of the process close
 * late.
 */
export function openFilesBelow(directory: string): number {
  return readdirSync(DESCRIPTORS).filter((descriptor) => targetOf(descriptor).startsWith(directory + sep))
    .length;
}

/** Returns an empty string for a descriptor that was closed in between. */
function targetOf(descriptor: string): string {
  try {
    return readlinkSync(`${DESCRIPTORS}/${descriptor}`);
  } catch {
    return '';
  }
}
