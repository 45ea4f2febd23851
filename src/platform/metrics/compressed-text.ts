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

/** Reports whether a header `Accept-Encoding` allows gzip: `gzip;q=0` does not. */
export function acceptsGzip(header: string | string[] | undefined): boolean {
  const codings = String(header ?? '').split(',');
  return codings.some((coding) => {
    const [name = '', ...parameters] = coding.split(';').map((part) => part.trim().toLowerCase());
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    return name === 'gzip' && (quality === undefined || Number(quality.slice(2)) > 0);
  });
}
