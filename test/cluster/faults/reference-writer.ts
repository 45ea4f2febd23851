import { setTimeout as delay } from 'node:timers/promises';
import { isError } from '#base/is-error';
import type { Connection } from '#client/index';

/** Calls take longer only if something holds them up for ever. */
const CALL_LIMIT_MS = 30_000;
const PAUSE_AFTER_FAILURE_MS = 200;
/** One of this number of writes is a deletion. */
const DELETION_EVERY = 4;

/** A call that failed. */
export interface FailedCall {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly error: string;
}

export interface ReferenceWriterOptions {
  readonly relativePath: string;
  /** Praefects, which are used in turn. */
  readonly connections: readonly Connection[];
  /** Values of the branch, in turn. */
  readonly oids: readonly string[];
}

/** Writes and deletes a separate branch, and knows which values were acknowledged. */
export class ReferenceWriter {
  readonly branch: string;
  readonly failures: FailedCall[] = [];
  readonly #options: ReferenceWriterOptions;
  /** All values, tried in this order; empty for a deletion. */
  readonly #values: string[] = [''];
  #acknowledged = 0;
  /** Calls that succeeded. */
  successes = 0;

  constructor(branch: string, options: ReferenceWriterOptions) {
    this.branch = branch;
    this.#options = options;
  }

  /** The place of the last acknowledged value. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** The value that was tried last; empty for a deletion. */
  get latest(): string {
    return this.#values.at(-1) ?? '';
  }

  /** Reports whether a value was acknowledged at a place, or has been tried after it. */
  mayHave(value: string, sincePlace: number): boolean {
    return this.#values.lastIndexOf(value) >= sincePlace;
  }

  /** Writes or deletes once. Returns whether it was acknowledged. */
  async write(): Promise<boolean> {
    const { connections, oids, relativePath } = this.#options;
    const place = this.#values.length;
    const oid = place % DELETION_EVERY === 0 ? '' : (oids[place % oids.length] ?? '');
    this.#values.push(oid);
    const connection = connections[place % connections.length];
    const repository = { storageName: 'default', relativePath };
    const ref = Buffer.from(`refs/heads/${this.branch}`);
    const options = { timeoutMs: CALL_LIMIT_MS };
    const startedAtMs = performance.now();
    try {
      if (oid === '') await connection?.ref.deleteRefs({ repository, refs: [ref] }, options);
      else await connection?.repository.writeRef({ repository, ref, revision: Buffer.from(oid) }, options);
      this.#acknowledged = place;
      this.successes++;
      return true;
    } catch (error) {
      const text = isError(error) ? error.message : String(error);
      this.failures.push({ startedAtMs, endedAtMs: performance.now(), error: text });
      return false;
    }
  }

  /** Writes until the signal is aborted. */
  async writeOn(stop: AbortSignal): Promise<void> {
    while (!stop.aborted)
      if (!(await this.write()))
        await delay(PAUSE_AFTER_FAILURE_MS, undefined, { signal: stop }).catch(() => {});
  }
}
