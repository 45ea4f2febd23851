import type { Family } from '#workers/family';
import type { FamilyWorker } from '#workers/family-server';
import type { Link } from '#workers/link';
import { askInTime } from '#workers/monitoring';
import type { ServerHistory } from './history/call-history.ts';
import { mergeHistory } from './history/merge-history.ts';
import { mergeStatus } from './top/merge-status.ts';
import type { ServerStatus } from './top/status.ts';

const STATUS = 'calls: status';
const HISTORY = 'calls: history';
const CANCEL = 'calls: cancel';

/** The calls of a server, for its operators. */
export interface ServerCalls {
  status(): Promise<ServerStatus>;
  /** Returns the last hour and the last slow calls; `undefined` if they are not kept. */
  history(): Promise<ServerHistory | undefined>;
  /** Ends the running calls with a correlation id. @returns their number. */
  cancel(correlationId: string): Promise<number>;
}

/** Returns the calls of all processes of a server; those of a worker also answer its supervisor. */
export function familyCalls(own: ServerCalls, family: Family | undefined): ServerCalls {
  if (family === undefined) return own;
  if (family.role === 'supervisor') return new AllCalls(own, family.workers);
  answerCalls(family.link, own);
  return own;
}

/** Answers another process about the calls of this one. @see CallsOfProcess */
export function answerCalls(link: Link, own: ServerCalls): void {
  link.onAsked(STATUS, async () => ({ value: await own.status() }));
  link.onAsked(HISTORY, async () => ({ value: await own.history() }));
  link.onAsked(CANCEL, async (id) => ({ value: await own.cancel(String(id)) }));
}

/** The calls of another process that {@link answerCalls}, as far as it responds in time. */
export class CallsOfProcess {
  readonly #link: () => Link | undefined;

  /** @param link is called for each question: a process that is started again has another one. */
  constructor(link: () => Link | undefined) {
    this.#link = link;
  }

  async status(): Promise<ServerStatus | undefined> {
    return await this.#ask<ServerStatus>(STATUS);
  }

  async history(): Promise<ServerHistory | undefined> {
    return await this.#ask<ServerHistory>(HISTORY);
  }

  /** Ends its running calls with a correlation id. @returns their number. */
  async cancel(correlationId: string): Promise<number> {
    return (await this.#ask<number>(CANCEL, correlationId)) ?? 0;
  }

  /** The types of answers are those of {@link answerCalls}. */
  async #ask<T>(topic: string, value?: unknown): Promise<T | undefined> {
    const link = this.#link();
    return link && ((await askInTime(link, topic, value)) as T | undefined);
  }
}

/** The calls of a supervisor and of those workers that respond in time. */
class AllCalls implements ServerCalls {
  readonly #own: ServerCalls;
  readonly #workers: () => readonly FamilyWorker[];

  constructor(own: ServerCalls, workers: () => readonly FamilyWorker[]) {
    this.#own = own;
    this.#workers = workers;
  }

  async status(): Promise<ServerStatus> {
    const [own, others] = await Promise.all([this.#own.status(), this.#ask<ServerStatus>(STATUS)]);
    return mergeStatus(own, others);
  }

  async history(): Promise<ServerHistory | undefined> {
    const [own, others] = await Promise.all([this.#own.history(), this.#ask<ServerHistory>(HISTORY)]);
    return own && mergeHistory(own, [...others.values()]);
  }

  async cancel(correlationId: string): Promise<number> {
    const [own, others] = await Promise.all([
      this.#own.cancel(correlationId),
      this.#ask<number>(CANCEL, correlationId),
    ]);
    return [...others.values()].reduce((sum, count) => sum + count, own);
  }

  /** Returns the answers by the numbers of the workers. Their types are those of {@link familyCalls}. */
  async #ask<T>(topic: string, value?: unknown): Promise<ReadonlyMap<number, T>> {
    const answers = await Promise.all(
      this.#workers().map(
        async ({ link, number }) => [number, (await askInTime(link, topic, value)) as T | undefined] as const,
      ),
    );
    return new Map(answers.flatMap(([number, answer]) => (answer === undefined ? [] : [[number, answer]])));
  }
}
