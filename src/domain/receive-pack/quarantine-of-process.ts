import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { removeTree } from '#storage/temp-directories';

const VARIABLE = 'GIT_QUARANTINE_PATH=';

/**
 * Removes the quarantine of a `git receive-pack` that is ended. Since 2.38 git does not clean up
 * its quarantine in a signal handler. A client that repeatedly pushes gigabytes and disconnects
 * would fill the disk.
 *
 * git chooses the name and passes it only to its children (index-pack, rev-list). Therefore the
 * environment of the children is read just before they are ended. If this fails, the removal by age
 * deletes the quarantine.
 */
export class EndedQuarantine {
  readonly #objectDirectory: string;
  #path: string | undefined;

  constructor(objectDirectory: string) {
    this.#objectDirectory = objectDirectory;
  }

  /** Searches for the quarantine of a process that is going to be ended. */
  find(pid: number): void {
    try {
      for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
        .split(' ')
        .filter(Boolean)) {
        const variables = readFileSync(`/proc/${child}/environ`, 'utf8').split('\0');
        const path = variables.find((variable) => variable.startsWith(VARIABLE))?.slice(VARIABLE.length);
        // git writes `<repository>/./objects/…`.
        if (path !== undefined && dirname(resolve(path)) === this.#objectDirectory)
          this.#path = resolve(path);
      }
    } catch {
      // The child has just ended, or the system is not Linux.
    }
  }

  /** Removes the quarantine. Call it after the process and its children have ended. */
  async remove(): Promise<void> {
    if (this.#path !== undefined) await removeTree(this.#path);
  }
}
