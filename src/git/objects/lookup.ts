import type { Readable } from 'node:stream';
import type { ObjectInfo } from './object-info.ts';

/** What comes back for an object that exists. `data` and `stream` are both unset when only its info was asked for. */
export interface Found extends ObjectInfo {
  /** The whole contents. */
  readonly data?: Buffer;
  /** The contents of an object that is too big to be held. Whoever gets it reads it to the end or destroys it. */
  readonly stream?: Readable;
}

export type LookupMode =
  /** Type and size. */
  | 'info'
  /** The contents, held in memory; an object above `maxBytes` is an error. */
  | 'whole'
  /** The contents: held when small, a stream when not. */
  | 'open';

/** One question to a cat-file process, and the promise of its answer. */
export class Lookup {
  readonly mode: LookupMode;
  readonly revision: Buffer;
  readonly maxBytes: number;
  readonly answer: Promise<Found | undefined>;
  /** How many processes died with this question in their queue. */
  deaths = 0;
  settled = false;
  #resolve: (found: Found | undefined) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(mode: LookupMode, revision: Buffer, maxBytes: number) {
    this.mode = mode;
    this.revision = revision;
    this.maxBytes = maxBytes;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Gives the answer, unless the one who asked has left. Whether it was taken. */
  resolve(found: Found | undefined): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#resolve(found);
    return true;
  }

  reject(error: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.#reject(error);
  }

  /** The words for git. */
  command(delimiter: number): Buffer {
    const verb = this.mode === 'info' ? INFO : CONTENTS;
    const command = Buffer.allocUnsafe(verb.length + this.revision.length + 1);
    verb.copy(command);
    this.revision.copy(command, verb.length);
    command[command.length - 1] = delimiter;
    return command;
  }
}

const INFO = Buffer.from('info ');
const CONTENTS = Buffer.from('contents ');
