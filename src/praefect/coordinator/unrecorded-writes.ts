import { GitalyError, messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { RepositoryKey } from '../model/repository-key.ts';
import { repositoryFields } from './repository-fields.ts';

const RETRY_MS = 1000;
/**
 * Limit of writes that are kept. While the database is away no write begins, so they are those that
 * ran when it went.
 */
const MAX_WRITES = 10_000;

/** Records a write. It may be called again after it has failed. */
type RecordAgain = () => Promise<void>;

interface Entry {
  readonly repository: RepositoryKey;
  /** The oldest first. */
  readonly writes: RecordAgain[];
  running: Promise<void> | undefined;
}

/**
 * The writes that the database could not record. A node that lacks such a write looks up to date,
 * so calls on the repository wait for the record, which is repeated until the database is back.
 */
export class UnrecordedWrites implements Disposable {
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Keeps a write whose record has failed, unless the store has refused it. */
  add(repository: RepositoryKey, record: RecordAgain, error: unknown): void {
    if (this.#isClosed || isRefusal(error)) return;
    const fields = { ...repositoryFields(repository), error: messageOf(error) };
    if (this.#count >= MAX_WRITES) {
      this.#logger.error(fields, 'a write could not be recorded: its nodes may differ until the next write');
      return;
    }
    this.#logger.warn(fields, 'a write could not be recorded yet');
    const key = keyOf(repository);
    const entry = this.#entries.get(key) ?? { repository, writes: [], running: undefined };
    entry.writes.push(record);
    this.#count++;
    this.#entries.set(key, entry);
    this.#retryLater();
  }

  /**
   * Runs a search for nodes once the earlier writes to a repository are recorded. It is not
   * asynchronous itself, because each layer of promises costs every read.
   *
   * @throws the error of the database while it is away.
   */
  whenRecorded<T>(repository: RepositoryKey, run: () => Promise<T>): Promise<T> {
    const entry = this.#count === 0 ? undefined : this.#entries.get(keyOf(repository));
    return entry === undefined ? run() : this.#record(entry).then(run);
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #retryLater(): void {
    if (!this.#isClosed) this.#timer ??= setTimeout(() => void this.#retry(), RETRY_MS).unref();
  }

  /** Records what can be recorded now, and tries the rest again later. Never rejects. */
  async #retry(): Promise<void> {
    await Promise.allSettled([...this.#entries.values()].map((entry) => this.#record(entry)));
    this.#timer = undefined;
    if (this.#entries.size > 0) this.#retryLater();
  }

  async #record(entry: Entry): Promise<void> {
    entry.running ??= this.#recordAll(entry).finally(() => {
      entry.running = undefined;
    });
    await entry.running;
  }

  async #recordAll({ repository, writes }: Entry): Promise<void> {
    for (let record = writes[0]; record !== undefined; record = writes[0]) {
      try {
        await record();
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
      writes.shift();
      this.#count--;
    }
    this.#entries.delete(keyOf(repository));
    this.#logger.info(repositoryFields(repository), 'the writes are recorded');
  }
}

/** Reports whether the store has decided. Only its own errors have codes, those of a database none. */
function isRefusal(error: unknown): boolean {
  return error instanceof GitalyError && (error.cause === undefined || error.cause instanceof GitalyError);
}

function keyOf({ relativePath, virtualStorage }: RepositoryKey): string {
  return `${virtualStorage}\0${relativePath}`;
}
