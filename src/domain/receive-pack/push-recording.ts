import { Readable } from 'node:stream';
import type { Repository } from '#storage/repository';
import { reportingNames } from './pushed-names.ts';

/** Records the changes of a push, if a listener is registered. Disposed of when git has ended. */
export class PushRecording implements AsyncDisposable {
  readonly #repository: Repository;
  #recording: Promise<AsyncDisposable | undefined> | undefined;

  constructor(repository: Repository) {
    this.#repository = repository;
  }

  /** Returns the input for git, which gets the end of its commands after they are noted. */
  watch(input: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    const { changeRecorder } = this.#repository;
    if (changeRecorder === undefined) return input;
    // The end of reading a sidechannel must leave its write side open.
    const chunks = input instanceof Readable ? input.iterator({ destroyOnReturn: false }) : input;
    return reportingNames(chunks, async (names) => {
      this.#recording = changeRecorder.begin(this.#repository, names);
      await this.#recording;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const recording = await this.#recording;
    await recording?.[Symbol.asyncDispose]();
  }
}
