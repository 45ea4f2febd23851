import { JsonFields } from '#base/json-fields';
import { object, type Shaped, text } from '#base/shape';

/** An event that was given up. */
export const deadLetter = object({
  id: text,
  repository: text,
  /** Why the last attempt failed. */
  reason: text,
  /** ISO 8601, UTC. */
  time: text,
});

export type DeadLetter = Shaped<typeof deadLetter>;

/** The numbers of a webhook in a storage since the start. */
export interface DeliveryCounts {
  delivered: number;
  /** Attempts that failed. */
  failed: number;
  /** Why the last attempt failed; `undefined` after one that did not. */
  lastProblem: string | undefined;
}

/** How far the events of a storage were delivered to a webhook. */
export interface DeliveryProgress {
  /** Sequence of the last event that was looked at; `undefined` for a new webhook. */
  readonly cursor: number | undefined;
  /** Events up to the cursor that are not delivered yet. */
  readonly waiting: ReadonlySet<number>;
  /** The newest last. */
  readonly deadLetters: readonly DeadLetter[];
  readonly counts: Readonly<DeliveryCounts>;
}

export interface DeliveryStateOptions {
  /** The text that was written last; `undefined` for a new webhook. */
  readonly text: string | undefined;
  /** Keeps a text, instead of the previous one. */
  readonly write: (text: string) => Promise<void>;
  /** Called when a text cannot be read or written. */
  readonly onProblem: (error: unknown) => void;
}

const SAVE_MS = 500;
const MAX_DEAD_LETTERS = 100;

/**
 * The progress of a webhook, which is written from time to time. What is written is at most half a
 * second behind, so an event may be delivered again after a crash.
 */
export class DeliveryState implements DeliveryProgress, AsyncDisposable {
  cursor: number | undefined;
  readonly waiting: Set<number>;
  readonly deadLetters: DeadLetter[];
  readonly counts: DeliveryCounts = { delivered: 0, failed: 0, lastProblem: undefined };
  readonly #options: DeliveryStateOptions;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** An unreadable text is reported, and counts as that of a new webhook. */
  constructor(options: DeliveryStateOptions) {
    this.#options = options;
    const { cursor, deadLetters, waiting } = readOrReport(options);
    this.cursor = cursor;
    this.waiting = new Set(waiting);
    this.deadLetters = [...deadLetters];
  }

  /** Keeps an event that was given up; the oldest ones are forgotten. */
  addDeadLetter(letter: DeadLetter): void {
    this.deadLetters.push(letter);
    if (this.deadLetters.length > MAX_DEAD_LETTERS) this.deadLetters.shift();
    this.changed();
  }

  /** Has the state written soon. */
  changed(): void {
    this.#timer ??= setTimeout(() => void this.#save(), SAVE_MS).unref();
  }

  /** Writes the state. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#save();
  }

  async #save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { onProblem, write } = this.#options;
    this.#writing = this.#writing.then(() => write(this.#text()).catch(onProblem));
    await this.#writing;
  }

  #text(): string {
    const { counts, cursor, deadLetters, waiting } = this;
    return JSON.stringify({ cursor, waiting: [...waiting], deadLetters, counts });
  }
}

/** Reads the text of a state; that of a new webhook has no cursor. @throws {Error} if it is none. */
export function readProgress(text: string | undefined): DeliveryProgress {
  const fields = text === undefined ? JsonFields.NONE : JsonFields.parse(text);
  if (fields === undefined) throw new Error('the state of a webhook is no JSON');
  const counts = fields.object('counts');
  return {
    cursor: text === undefined ? undefined : fields.required('cursor', 'number'),
    waiting: new Set(text === undefined ? [] : fields.required('waiting', 'list').map(Number)),
    deadLetters: (fields.list('deadLetters') ?? []).map((letter) => letterOf(JsonFields.of(letter))),
    counts: {
      delivered: counts?.number('delivered') ?? 0,
      failed: counts?.number('failed') ?? 0,
      lastProblem: counts?.text('lastProblem'),
    },
  };
}

function readOrReport({ onProblem, text }: DeliveryStateOptions): DeliveryProgress {
  try {
    return readProgress(text);
  } catch (error) {
    onProblem(error);
    return readProgress(undefined);
  }
}

function letterOf(fields: JsonFields | undefined): DeadLetter {
  const [id, repository] = [fields?.text('id') ?? '', fields?.text('repository') ?? ''];
  const [reason, time] = [fields?.text('reason') ?? '', fields?.text('time') ?? ''];
  return { id, repository, reason, time };
}
