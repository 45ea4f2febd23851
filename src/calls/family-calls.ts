import { maybe, nothing, number, text } from '#base/shape';
import type { ProcessFamily } from '#workers/family';
import type { FamilyWorker } from '#workers/family-server';
import type { Link } from '#workers/link';
import { inTime } from '#workers/monitoring';
import { answer, asked, protocol, type Remote, remote } from '#workers/protocol';
import { type ServerHistory, serverHistory } from './history/call-history.ts';
import { mergeHistory } from './history/merge-history.ts';
import { mergeStatus } from './top/merge-status.ts';
import { type ServerStatus, statusOfServer } from './top/status.ts';

/** Requests of operators about the calls of one process of a server. */
const CALLS = protocol('calls', {
  status: asked(nothing, statusOfServer),
  history: asked(nothing, maybe(serverHistory)),
  cancel: asked(text, number),
});

/** The calls of a server, for its operators. */
export interface ServerCalls {
  status(): Promise<ServerStatus>;
  /** Returns the last hour and the last slow calls; `undefined` if they are not kept. */
  history(): Promise<ServerHistory | undefined>;
  /** Ends the running calls with a correlation id. @returns their number. */
  cancel(correlationId: string): Promise<number>;
}

/** Returns the calls of all processes of a server; those of a worker also answer its supervisor. */
export function familyCalls(own: ServerCalls, family: ProcessFamily | undefined): ServerCalls {
  if (family === undefined) return own;
  if (family.role === 'supervisor') return allCalls(own, family.workers);
  answerCalls(family.link, own);
  return own;
}

/** Answers another process about the calls of this one. @see callsOfProcess */
export function answerCalls(link: Link, own: ServerCalls): void {
  answer(link, CALLS, {
    status: () => own.status(),
    history: () => own.history(),
    cancel: (correlationId) => own.cancel(correlationId),
  });
}

/** The calls of another process; `undefined` if it does not respond in time. */
type CallsOfProcess = {
  readonly [K in keyof ServerCalls]: (
    ...args: Parameters<ServerCalls[K]>
  ) => Promise<Awaited<ReturnType<ServerCalls[K]>> | undefined>;
};

/**
 * Returns the calls of a process that {@link answerCalls}.
 *
 * @param link is called for each question: a process that is started again has another one.
 */
export function callsOfProcess(link: () => Link | undefined): CallsOfProcess {
  const ask = async <T>(
    question: (calls: Remote<typeof CALLS>, options: { readonly signal: AbortSignal }) => Promise<T>,
  ): Promise<T | undefined> => {
    const open = link();
    return open && (await inTime((options) => question(remote(open, CALLS), options)));
  };
  return {
    status: () => ask((calls, options) => calls.status(undefined, options)),
    history: () => ask((calls, options) => calls.history(undefined, options)),
    cancel: (correlationId) => ask((calls, options) => calls.cancel(correlationId, options)),
  };
}

/** Returns the calls of a supervisor and of those workers that respond in time. */
function allCalls(own: ServerCalls, workers: () => readonly FamilyWorker[]): ServerCalls {
  /** Returns the answers by the numbers of the workers. */
  const ask = async <T>(
    question: (calls: CallsOfProcess) => Promise<T | undefined>,
  ): Promise<ReadonlyMap<number, T>> => {
    const answers = await Promise.all(
      workers().map(async ({ link, number: worker }): Promise<[number, T][]> => {
        const answered = await question(callsOfProcess(() => link));
        return answered === undefined ? [] : [[worker, answered]];
      }),
    );
    return new Map(answers.flat());
  };
  return {
    async status() {
      const [first, others] = await Promise.all([own.status(), ask((calls) => calls.status())]);
      return mergeStatus(first, others);
    },
    async history() {
      const [first, others] = await Promise.all([own.history(), ask((calls) => calls.history())]);
      return first && mergeHistory(first, [...others.values()]);
    },
    async cancel(correlationId) {
      const [first, others] = await Promise.all([
        own.cancel(correlationId),
        ask((calls) => calls.cancel(correlationId)),
      ]);
      return [...others.values()].reduce((sum, count) => sum + count, first);
    },
  };
}
