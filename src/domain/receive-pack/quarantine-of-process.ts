import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { removeTree } from '#storage/temp-directories';

const VARIABLE = 'GIT_QUARANTINE_PATH=';

/**
 * Removes what `git receive-pack` leaves when it is ended: since 2.38 git does not clean up its quarantine in a signal handler, and a
 * client that pushes gigabytes and leaves, again and again, would fill the disk.
 *
 * git makes the name up, and only its children (index-pack, rev-list) are told. So it is looked for in them, in the moment before they
 * are ended; where that does not work the quarantine stays for the removal by age.
 */
export class EndedQuarantine {
  readonly #objectDirectory: string;
  #path: string | undefined;

  constructor(objectDirectory: string) {
    this.#objectDirectory = objectDirectory;
  }

  /** Looks for the quarantine of a process that is going to be ended. */
  find(pid: number): void {
    try {
      for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean)) {
        const variables = readFileSync(`/proc/${child}/environ`, 'utf8').split('\0');
        const path = variables.find((variable) => variable.startsWith(VARIABLE))?.slice(VARIABLE.length);
        // git writes `<repository>/./objects/…`.
        if (path !== undefined && dirname(resolve(path)) === this.#objectDirectory) this.#path = resolve(path);
      }
    } catch {
      // The child has just ended, or this is not Linux.
    }
  }

  /** To be called when the process and its children are gone. */
  async remove(): Promise<void> {
    if (this.#path !== undefined) await removeTree(this.#path);
  }
}
