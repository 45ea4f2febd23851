import { Readable } from 'node:stream';
import type { ByteStream } from '#base/streams/byte-stream';
import { abortError } from '../command/process/exit-error.ts';
import type { Oid } from '../names/object-id.ts';
import type { ObjectInfo } from '../names/object-info.ts';
import type { FoundObject } from './cat-file/lookup.ts';

export interface OpenObject extends ObjectInfo {
  /** The whole contents of a small object; `stream` is not needed then. */
  readonly data: Buffer | undefined;
  /**
   * The contents. Slow reading slows git down; it must be read to its end or destroyed. The
   * property always returns the same stream.
   */
  readonly stream: ByteStream;
}

/** An object whose stream is created on demand. */
export class OpenedObject implements OpenObject {
  readonly oid: Oid;
  readonly type: ObjectInfo['type'];
  readonly size: number;
  readonly data: Buffer | undefined;
  #stream: ByteStream | undefined;

  /** @param signal Destroys the stream when it is aborted. */
  constructor({ oid, type, size, data, stream }: FoundObject, signal?: AbortSignal) {
    this.oid = oid;
    this.type = type;
    this.size = size;
    this.data = data;
    this.#stream = stream;
    // An abort may destroy the stream before there is a listener; the reader receives the error
    // nevertheless.
    stream?.on('error', () => {});
    if (stream !== undefined && signal !== undefined) destroyOnAbort(stream, signal);
  }

  get stream(): Readable {
    this.#stream ??= Readable.from(this.data === undefined || this.data.length === 0 ? [] : [this.data], {
      objectMode: false,
    });
    return this.#stream;
  }
}

function destroyOnAbort(stream: Readable, signal: AbortSignal): void {
  const onAbort = (): void => void stream.destroy(abortError(signal));
  if (signal.aborted) onAbort();
  else {
    signal.addEventListener('abort', onAbort, { once: true });
    stream.once('close', () => signal.removeEventListener('abort', onAbort));
  }
}
