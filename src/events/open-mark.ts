import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { bootId } from '#base/process-identity';

const SHARED = ' shared';

/**
 * A file that a feed has while it is open, with the boot of the machine: a power failure leaves it,
 * and the disk may lack the last events then. After a restart it also tells that the process before
 * still adds events, which are behind later numbers until they are taken over.
 */
export class OpenMark {
  readonly #file: string;
  readonly #boot = bootId() ?? '';
  /** During a restart, the next process has replaced it before this one ends. */
  readonly #own = `${this.#boot} ${process.pid}`;

  /** @param directory of the feed, which exists when the mark is set. */
  constructor(directory: string) {
    this.#file = join(directory, 'open');
  }

  /**
   * Reports whether consumers may lack events: the machine has stopped while a feed was open, or a
   * process has ended before it took over the events of another one.
   */
  async mayLackEvents(): Promise<boolean> {
    const left = await this.#read();
    return left !== undefined && (!left.startsWith(`${this.#boot} `) || left.endsWith(SHARED));
  }

  async set({ isShared }: { readonly isShared: boolean }): Promise<void> {
    await replaceFile(this.#file, this.#own + (isShared ? SHARED : ''), { durable: true });
  }

  /** Removes the mark of this process, unless it has to stay for the next one. */
  async remove(): Promise<void> {
    if ((await this.#read()) === this.#own) await rm(this.#file, { force: true });
  }

  async #read(): Promise<string | undefined> {
    return await readFile(this.#file, 'utf8').catch(ignoreMissing);
  }
}
