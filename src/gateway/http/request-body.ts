import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { stoppableChunks } from '#base/streams/stoppable-chunks';
import type { Answer } from './answer.ts';
import { HttpRefusal } from './refusal.ts';

export interface BodyLimits {
  /** Maximum size after decompression. */
  readonly maxBytes: number;
  /** Longest wait for the next bytes, while the body is read. */
  readonly idleTimeoutMs: number;
  /** Maximum time from now to the end of the body. */
  readonly timeoutMs: number;
  /** False for a body that need not be one of Git's protocol. */
  readonly isGit?: boolean;
}

/**
 * The body of a request, decompressed if necessary, within limits. It is decompressed only as it is
 * read, so a small request cannot fill the memory. There may be one reader.
 */
export class RequestBody implements AsyncIterable<Uint8Array> {
  readonly #bytes: Readable;
  readonly #limits: BodyLimits;
  readonly #onChunk: ((chunk: Uint8Array) => void) | undefined;
  #refusal: Answer | undefined;
  #isEmpty = false;
  /** The first bytes, up to the length of a packet. */
  #length = '';

  private constructor(bytes: Readable, limits: BodyLimits, onChunk?: (chunk: Uint8Array) => void) {
    this.#bytes = bytes;
    this.#limits = limits;
    this.#onChunk = onChunk;
  }

  /**
   * Returns the body of a request. @param onChunk called for each chunk that is read.
   *
   * @throws {HttpRefusal} for an unsupported encoding, and for a length that exceeds the limit.
   */
  static of(
    request: IncomingMessage,
    limits: BodyLimits,
    onChunk?: (chunk: Uint8Array) => void,
  ): RequestBody {
    if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes)
      throw new HttpRefusal(tooLarge(limits.maxBytes));
    const encoding = request.headers['content-encoding'] ?? '';
    switch (encoding.trim().toLowerCase()) {
      case '':
      case 'identity':
        return new RequestBody(request, limits, onChunk);
      case 'gzip':
      case 'x-gzip':
        return new RequestBody(unpacked(request), limits, onChunk);
      default:
        throw new HttpRefusal({
          status: 415,
          text: 'The content encoding is not supported. Send the body uncompressed or with gzip.',
        });
    }
  }

  /**
   * The response for an error caused by the client. The reader's error may be a consequence that
   * hides it.
   */
  get refusal(): Answer | undefined {
    return this.#refusal ?? (isMalformed(this.#bytes) ? MALFORMED : undefined);
  }

  /** True if the body has ended without a byte. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const { idleTimeoutMs, maxBytes, timeoutMs } = this.#limits;
    const chunks = stoppableChunks(this.#bytes);
    const giveUp = (answer: Answer): void => {
      this.#refusal = answer;
      void chunks.return?.(); // ends a wait at once
    };
    const whole = setTimeout(giveUp, timeoutMs, tooSlow(`has not ended after ${seconds(timeoutMs)}`)).unref();
    let bytes = 0;
    try {
      for (;;) {
        const idle = setTimeout(
          giveUp,
          idleTimeoutMs,
          tooSlow(`was idle for ${seconds(idleTimeoutMs)}`),
        ).unref();
        const { done, value } = await chunks
          .next()
          .catch((error: unknown) => this.#explain(error))
          .finally(() => clearTimeout(idle));
        if (this.#refusal !== undefined) throw new HttpRefusal(this.#refusal);
        if (this.#isForeign(value ?? undefined)) {
          giveUp(FOREIGN);
          throw new HttpRefusal(FOREIGN);
        }
        if (done === true) {
          this.#isEmpty = bytes === 0;
          return;
        }
        bytes += value.byteLength;
        if (bytes > maxBytes) {
          giveUp(tooLarge(maxBytes));
          throw new HttpRefusal(tooLarge(maxBytes));
        }
        this.#onChunk?.(value);
        yield value;
      }
    } finally {
      clearTimeout(whole);
      void chunks.return?.();
    }
  }

  /** Throws the error of the body, or the response to it. */
  #explain(cause: unknown): never {
    throw isMalformed(this.#bytes) ? new HttpRefusal(MALFORMED, { cause }) : cause;
  }

  /**
   * Reports whether the body cannot be git's, from the beginning of its first packet: git would
   * fail with an error that does not say so.
   *
   * @param chunk `undefined` at the end of the body.
   */
  #isForeign(chunk: Uint8Array | undefined): boolean {
    if (this.#length.length === LENGTH_BYTES || this.#limits.isGit === false) return false;
    if (chunk === undefined) return this.#length !== '';
    const more = chunk.subarray(0, LENGTH_BYTES - this.#length.length);
    this.#length += Buffer.from(more).toString('latin1');
    return !/^[0-9a-f]*$/i.test(this.#length);
  }
}

/** Bytes of the length that begins each packet, in hexadecimal digits. */
const LENGTH_BYTES = 4;
const FOREIGN: Answer = {
  status: 400,
  text: "The body of the request is not one of Git's protocol. Use git, or check the proxy in between.",
};
const MALFORMED: Answer = { status: 400, text: 'The body of the request is not valid gzip.' };

/**
 * Returns the decompressed body. It uses a pipe and not a pipeline, because the connection must
 * stay open for the response if the body is not gzip.
 */
function unpacked(request: IncomingMessage): Readable {
  const gunzip = createGunzip();
  gunzip.on('error', () => {}); // the reader receives it, now or later
  request.once('close', () => {
    if (!request.complete) gunzip.destroy();
  });
  return request.pipe(gunzip);
}

function isMalformed({ errored }: Readable): boolean {
  return (
    errored !== null && 'code' in errored && typeof errored.code === 'string' && errored.code.startsWith('Z_')
  );
}

function tooLarge(maxBytes: number): Answer {
  return {
    status: 413,
    text: `The body of the request is larger than this server's limit of ${maxBytes} bytes.`,
  };
}

function tooSlow(what: string): Answer {
  return { status: 408, text: `The body of the request ${what}.` };
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} seconds`;
}
