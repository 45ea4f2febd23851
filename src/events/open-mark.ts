import { mkdirSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { bootId, isRunning, ownIdentity } from '#base/process-identity';

const SHARED = ' shared';

/**
 * A file that a feed has while it is open, with the boot of the machine: a power failure leaves it,
 * and the disk may lack the last events then. After a restart it also tells that the process before
 * still adds events, which are behind later numbers until they are taken over.
 */
export class OpenMark {
  readonly #file: string;
  readonly #boot = bootId() ?? '';
  /** The mark of the process before. */
  #before: string | undefined;
  /** During a restart, the next process has replaced it before this one ends. */
  readonly #own = `${this.#boot} ${process.pid} ${ownIdentity().startTime}`;

  /** Creates the directory. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
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

  /** Sets the mark of this process; that of the next one stays, which has taken over meanwhile. */
  async set({ isShared }: { readonly isShared: boolean }): Promise<void> {
    if (isShared) this.#before = await this.#read();
    else if (await this.isReplaced()) return;
    await replaceFile(this.#file, this.#own + (isShared ? SHARED : ''), { durable: true });
  }

  /** Reports whether the next process of a restart has set its mark, and runs. */
  async isReplaced(): Promise<boolean> {
    const text = await this.#read();
    if (text === undefined || text === this.#own || text === this.#own + SHARED) return false;
    const [boot, pid, startTime = ''] = text.split(' ');
    return boot === this.#boot && isRunning({ ...ownIdentity(), pid: Number(pid), startTime }) === true;
  }

  /**
   * Removes the mark of this process, unless it has to stay for the next one.
   *
   * @param isUnused nothing was added since: a restart that failed leaves the mark from before.
   */
  async remove({ isUnused }: { readonly isUnused: boolean }): Promise<void> {
    const text = await this.#read();
    if (text === this.#own) await rm(this.#file, { force: true });
    else if (text === this.#own + SHARED && isUnused && this.#before !== undefined)
      await replaceFile(this.#file, this.#before, { durable: true });
  }

  async #read(): Promise<string | undefined> {
    return await readFile(this.#file, 'utf8').catch(ignoreMissing);
  }
}
