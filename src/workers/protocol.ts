import { holds, InvariantError } from '#base/invariant';
import type { Shape } from '#base/shape';
import type {
  Answering,
  Asked,
  Held,
  Link,
  LinkAnswer,
  LinkAskOptions,
  Teller,
  TellOptions,
} from './link.ts';

/** One thing that a process tells or asks another one. */
export interface Topic<Handler, Sender> {
  /** Registers what answers it. */
  answer(at: Answering, topic: string, handle: Handler): void;
  /** Returns what the other process calls. */
  sender(link: Link, topic: string): Sender;
}

/** The topics that one process answers and others send. Both sides come from this declaration. */
export interface Protocol<Topics> {
  readonly name: string;
  readonly topics: Topics;
}

/** The functions that send the topics of a protocol. */
export type Remote<P> =
  P extends Protocol<infer Topics>
    ? { readonly [K in keyof Topics]: Topics[K] extends Topic<never, infer Sender> ? Sender : never }
    : never;

type Told<T> = Topic<(value: T, from: Teller) => void, (value: T, options?: TellOptions) => void>;
type AskedTopic<A, R, N> = Topic<
  (value: A, asked: Asked<N>) => Promise<R> | R,
  (value: A, options?: LinkAskOptions<N>) => Promise<R>
>;
type HeldTopic<A, R, N, M> = Topic<
  (value: A, asked: Asked<N>) => Promise<LinkAnswer<R, M>> | LinkAnswer<R, M>,
  (value: A, options?: LinkAskOptions<N>) => Promise<Held<R, M>>
>;

/** Something that needs no answer. A message of another shape is reported and dropped. */
export function told<T>(shape: Shape<T>): Told<T> {
  return {
    answer: (at, topic, receive) =>
      at.onTold(topic, (value, from) => {
        if (isShaped(shape, value, topic)) receive(value, from);
      }),
    sender: (link, topic) => (value, options) => link.tell(topic, value, options),
  };
}

/** A question. A message of another shape ends it with INTERNAL. @param note is sent before the answer. */
export function asked<A, R, N = void>(ask: Shape<A>, result: Shape<R>, note?: Shape<N>): AskedTopic<A, R, N> {
  const { answer, sender } = held(ask, result, { note });
  return {
    answer: (at, topic, handle) =>
      answer(at, topic, async (value, means) => ({ value: await handle(value, means) })),
    sender: (link, topic) => {
      const send = sender(link, topic);
      return async (value, options) => (await send(value, options)).value;
    },
  };
}

/** A question whose answer may be held. @param remark is sent by the holder. */
export function held<A, R, N = void, M = void>(
  ask: Shape<A>,
  result: Shape<R>,
  { note, remark }: { readonly note?: Shape<N> | undefined; readonly remark?: Shape<M> | undefined } = {},
): HeldTopic<A, R, N, M> {
  return {
    answer: (at, topic, handle) =>
      at.onAsked(topic, async (value, means) => {
        const { onRemark, ...answer } = await handle(shaped(ask, value, topic), means);
        const receive = (remarked: unknown): void => {
          if (remark !== undefined && isShaped(remark, remarked, topic)) onRemark?.(remarked);
        };
        return { ...answer, onRemark: receive };
      }),
    sender:
      (link, topic) =>
      async (value, { onNote, signal } = {}) => {
        const receive = (noted: unknown): void => {
          if (note !== undefined) onNote?.(shaped(note, noted, topic));
        };
        const { value: answered, ...holding } = await link.ask(topic, value, { signal, onNote: receive });
        try {
          return { ...holding, value: shaped(result, answered, topic) };
        } catch (error) {
          holding.release();
          throw error;
        }
      },
  };
}

export function protocol<Topics>(name: string, topics: Topics): Protocol<Topics> {
  return { name, topics };
}

/** Returns a protocol for one of several that answer it. */
export function named<Topics>({ name, topics }: Protocol<Topics>, instance: string): Protocol<Topics> {
  return { name: `${name} ${instance}`, topics };
}

/** Answers all topics of a protocol. */
export function answer<Handlers extends object>(
  at: Answering,
  { name, topics }: Protocol<{ readonly [K in keyof Handlers]: Topic<Handlers[K], unknown> }>,
  handlers: NoInfer<Handlers>,
): void {
  for (const key in topics) topics[key].answer(at, `${name}: ${key}`, handlers[key]);
}

/** Returns the functions that tell and ask what another process answers. */
export function remote<Senders extends object>(
  link: Link,
  { name, topics }: Protocol<{ readonly [K in keyof Senders]: Topic<never, Senders[K]> }>,
): Senders {
  const senders: Partial<Senders> = {};
  for (const key in topics) senders[key] = topics[key].sender(link, `${name}: ${key}`);
  return senders as Senders; // the loop has made each of them
}

/** Reports a message of another shape. */
function isShaped<T>(shape: Shape<T>, value: unknown, topic: string): value is T {
  return shape(value) || holds(false, 'process-message', wrongShape(topic));
}

/** @throws {InvariantError} for a message of another shape, which ends the question. */
function shaped<T>(shape: Shape<T>, value: unknown, topic: string): T {
  if (isShaped(shape, value, topic)) return value;
  throw new InvariantError({ invariant: 'process-message', what: wrongShape(topic) });
}

function wrongShape(topic: string): string {
  return `a message of "${topic}" has another shape`;
}
