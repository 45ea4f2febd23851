import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const compress = promisify(gzip);

/** A text for several requests, compressed at most once. */
export class Rendered {
  readonly plain: Buffer;
  #compressed: Promise<Buffer> | undefined;

  constructor(plain: Buffer) {
    this.plain = plain;
  }

  /** Returns the text as gzip. It is compressed outside the main thread. */
  async compressed(): Promise<Buffer> {
    this.#compressed ??= compress(this.plain);
    return await this.#compressed;
  }
}
