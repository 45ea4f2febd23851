import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { JsonFields } from '#base/json-fields';

/** An event that was given up. */
export interface DeadLetter {
  readonly id: string;
  readonly repository: string;
  /** Why the last attempt failed. */
  readonly reason: string;
  /** ISO 8601, UTC. */
  readonly time: string;
}

const SAVE_MS = 500;
const MAX_DEAD_LETTERS = 100;
const FILE_MODE = 0o600;

/**
 * How far the events of a storage were delivered to a webhook, in a file. The file is at most half
 * a second behind, so an event may be delivered again after a crash.
 */
export class DeliveryState implements AsyncDisposable {
  /** Sequence of the last event that was looked at; `undefined` for a new webhook. */
  cursor: number | undefined;
  /** Events up to the cursor that are not delivered yet. */
  readonly waiting = new Set<number>();
  /** The newest last. */
  readonly deadLetters: DeadLetter[] = [];
  readonly #path: string;
  readonly #onProblem: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** Reads the file. An unreadable one is reported, and counts as that of a new webhook. */
  constructor(path: string, onProblem: (error: unknown) => void) {
    this.#path = path;
    this.#onProblem = onProblem;
    try {
      const fields = JsonFields.parse(readFileSync(path, 'utf8'));
      if (fields === undefined) throw new Error(`${path} is not the state of a webhook`);
      this.cursor = fields.required('cursor', 'number');
      for (const sequence of fields.required('waiting', 'list')) this.waiting.add(Number(sequence));
      for (const letter of fields.required('deadLetters', 'list')) this.#addLetter(JsonFields.of(letter));
    } catch (error) {
      try {
        ignoreMissing(error);
      } catch {
        onProblem(error);
      }
    }
  }

  /** Keeps an event that was given up; the oldest ones are forgotten. */
  addDeadLetter(letter: DeadLetter): void {
    this.deadLetters.push(letter);
    if (this.deadLetters.length > MAX_DEAD_LETTERS) this.deadLetters.shift();
    this.changed();
  }

  /** Has the file written soon. */
  changed(): void {
    this.#timer ??= setTimeout(() => void this.#save(), SAVE_MS).unref();
  }

  /** Writes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#save();
  }

  async #save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write().catch(this.#onProblem));
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { cursor, deadLetters, waiting } = this;
    const text = JSON.stringify({ cursor, waiting: [...waiting], deadLetters });
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await writeFile(`${this.#path}.new`, text, { mode: FILE_MODE });
    await rename(`${this.#path}.new`, this.#path);
  }

  #addLetter(fields: JsonFields | undefined): void {
    const [id, repository] = [fields?.text('id') ?? '', fields?.text('repository') ?? ''];
    const [reason, time] = [fields?.text('reason') ?? '', fields?.text('time') ?? ''];
    this.deadLetters.push({ id, repository, reason, time });
  }
}
