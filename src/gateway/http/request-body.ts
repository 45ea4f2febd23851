import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { stoppableChunks } from '#base/stoppable-chunks';
import type { Answer } from './answer.ts';
import { Refusal } from './refusal.ts';

/** What a body may cost. */
export interface BodyLimits {
  /** Unpacked. */
  readonly maxBytes: number;
  /** Longest wait for the next bytes, while somebody wants them. */
  readonly idleTimeoutMs: number;
  /** From now to its end. */
  readonly timeoutMs: number;
}

/**
 * The body of a request, unpacked where it is packed, within limits. Unpacking goes on only while the body is read, so a small
 * request cannot fill the memory. One reader.
 */
export class RequestBody implements AsyncIterable<Uint8Array> {
  readonly #bytes: Readable;
  readonly #limits: BodyLimits;
  #refusal: Answer | undefined;

  private constructor(bytes: Readable, limits: BodyLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  /** @throws {Refusal} for a packing that is not understood, and for a length that is too much at first sight. */
  static of(request: IncomingMessage, limits: BodyLimits): RequestBody {
    if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes) throw new Refusal(tooLarge(limits.maxBytes));
    const encoding = request.headers['content-encoding'] ?? '';
    switch (encoding.trim().toLowerCase()) {
      case '':
      case 'identity':
        return new RequestBody(request, limits);
      case 'gzip':
      case 'x-gzip':
        return new RequestBody(unpacked(request), limits);
      default:
        throw new Refusal({ status: 415, text: 'The content encoding is not understood. Send the body as it is or with gzip.' });
    }
  }

  /** Why reading was given up, for a reason that is the client's. The reader's error may be hidden by what follows from it. */
  get refusal(): Answer | undefined {
    return this.#refusal ?? (isMalformed(this.#bytes) ? MALFORMED : undefined);
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
        const idle = setTimeout(giveUp, idleTimeoutMs, tooSlow(`stood still for ${seconds(idleTimeoutMs)}`)).unref();
        const { done, value } = await chunks.next().finally(() => clearTimeout(idle));
        if (this.#refusal !== undefined) throw new Refusal(this.#refusal);
        if (done === true) return;
        bytes += value.byteLength;
        if (bytes > maxBytes) {
          giveUp(tooLarge(maxBytes));
          throw new Refusal(tooLarge(maxBytes));
        }
        yield value;
      }
    } finally {
      clearTimeout(whole);
      void chunks.return?.();
    }
  }
}

const MALFORMED: Answer = { status: 400, text: 'The body of the request is not valid gzip.' };

/** A pipe and not a pipeline: a body that is no gzip must leave the connection for the answer. */
function unpacked(request: IncomingMessage): Readable {
  const gunzip = createGunzip();
  gunzip.on('error', () => {}); // the reader finds it, now or later
  request.once('error', (error) => gunzip.destroy(error));
  request.once('close', () => {
    if (!request.complete) gunzip.destroy();
  });
  return request.pipe(gunzip);
}

function isMalformed({ errored }: Readable): boolean {
  return errored !== null && 'code' in errored && typeof errored.code === 'string' && errored.code.startsWith('Z_');
}

function tooLarge(maxBytes: number): Answer {
  return { status: 413, text: `The body of the request is larger than the ${maxBytes} bytes that this server takes.` };
}

function tooSlow(what: string): Answer {
  return { status: 408, text: `The body of the request ${what}.` };
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} seconds`;
}
