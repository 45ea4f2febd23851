import { GitalyError, messageOf } from '#base/gitaly-error';
import { CallError } from '#client/index';
import type { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';
import type { MethodInfo } from '#wire/method-info';
import { FrameFan } from './frame-fan.ts';
import type { Destination, ProxyPlan } from './proxy-plan.ts';
import { proxySidechannel } from './proxy-sidechannel.ts';
import { copyHeaders, copyTrailers } from './response-metadata.ts';

/**
 * Passes a call on to its nodes: the client's messages to all of them, the primary's responses,
 * trailers and status to the client. It ends when all nodes have ended.
 *
 * @param requests the client's messages after the first.
 * @throws the primary's error as it is; {GitalyError} INTERNAL `failed proxying to secondary: …`.
 */
export async function* proxyToAll(
  method: MethodInfo,
  requests: AsyncIterator<Buffer>,
  plan: ProxyPlan,
  context: HandlerContext,
): AsyncGenerator<Buffer> {
  let isDone = false;
  try {
    yield* passOn(method, requests, plan, context);
    isDone = true;
  } finally {
    const finished = plan.finish();
    // The client learns of the first failure.
    await (isDone ? finished : finished.catch(() => {}));
  }
}

async function* passOn(
  method: MethodInfo,
  requests: AsyncIterator<Buffer>,
  plan: ProxyPlan,
  context: HandlerContext,
): AsyncGenerator<Buffer> {
  const { primary, secondaries } = plan;
  const destinations = [primary, ...secondaries];
  const fan = new FrameFan(
    requests,
    destinations.map(({ firstFrame }) => firstFrame),
  );
  using ending = new CallsEnding(plan, context);
  await using sidechannel = proxySidechannel(primary.node, context);
  for (const [key, value] of sidechannel?.metadata ?? []) primary.metadata.set(key, value);
  const onHeaders = (headers: Metadata): void => copyHeaders(headers, context);
  const invoke = ({ metadata, node }: Destination, index: number) => {
    const ownOptions = { ...ending.options, metadata, ...(index === 0 && { onHeaders }) };
    return node.invokeRaw(method, fan.destinations[index] ?? [], ownOptions);
  };
  const answer = invoke(primary, 0);
  const others = secondaries.map((each, index) => invoke(each, index + 1));
  let secondaryFailure: unknown;
  const drained = Promise.all(others.map((call, index) => drain(call, secondaries[index]))).catch((error) => {
    secondaryFailure = error;
    ending.now();
  });
  void fan.run();
  const responses = unreturned(answer);
  let isOver = false;
  try {
    yield* responses;
    copyTrailers(await answer.trailers, context);
    await drained;
    if (secondaryFailure !== undefined) throw secondaryFailure;
    await sidechannel?.finished();
    isOver = true;
  } catch (error) {
    isOver = true;
    // Rails adds up the costs of calls, including failed ones.
    if (error instanceof CallError) copyTrailers(error.trailers, context);
    const failure = secondaryFailure ?? primary.onError(error);
    if (failure !== undefined) ending.soon();
    await drained;
    await sidechannel?.finished().catch(() => {}); // the call's error is more specific
    if (failure !== undefined) throw failure;
  } finally {
    if (!isOver) {
      // The client has gone. The state of the nodes is known when all have ended.
      ending.soon();
      await restOf(responses).catch((error) => primary.onError(error));
      await drained;
    }
    fan.close();
  }
}

/** Returns the responses of a call that continues when its reader leaves. */
function unreturned(responses: AsyncIterable<Buffer>): AsyncIterableIterator<Buffer> {
  const iterator = responses[Symbol.asyncIterator]();
  const result: AsyncIterableIterator<Buffer> = {
    next: () => iterator.next(),
    [Symbol.asyncIterator]: () => result,
  };
  return result;
}

/** Waits for the end of a call and drops its responses. */
async function restOf(responses: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of responses);
}

async function drain(call: AsyncIterable<Buffer>, destination: Destination | undefined): Promise<void> {
  try {
    for await (const _ of call);
  } catch (error) {
    const kept = destination?.onError(error);
    if (kept !== undefined)
      throw new GitalyError('INTERNAL', `failed proxying to secondary: ${messageOf(kept)}`, { cause: kept });
  }
}

/** Time for nodes to complete a change when the client or the primary has left. */
const COMPLETION_MS = 2000;

/**
 * Ends the calls of a proxied call on its nodes when the client has left, or when the call of one
 * node must end all. Nodes that have started a change complete it first: otherwise each would stop
 * at another point of it.
 */
export class CallsEnding implements Disposable {
  /** For the calls on the nodes. */
  readonly options: { readonly signal: AbortSignal; readonly deadline?: Date };
  readonly #plan: ProxyPlan;
  readonly #context: HandlerContext;
  readonly #ending = new AbortController();
  readonly #onAbort = (): void => this.soon();
  #timer: NodeJS.Timeout | undefined;

  constructor(plan: ProxyPlan, context: HandlerContext) {
    this.#plan = plan;
    this.#context = context;
    const { deadline, signal } = context;
    const extensionMs = plan.isBegun === undefined ? 0 : COMPLETION_MS;
    this.options = {
      signal: this.#ending.signal,
      ...(deadline !== undefined && { deadline: new Date(deadline.getTime() + extensionMs) }),
    };
    if (signal.aborted) this.now();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Ends the calls: at once, or after a time if the nodes have started a change. */
  soon(): void {
    if (this.#plan.isBegun?.() !== true) this.now();
    else this.#timer ??= setTimeout(() => this.now(), COMPLETION_MS);
  }

  /** Ends the calls at once. */
  now(): void {
    this.#ending.abort(
      this.#context.signal.aborted
        ? this.#context.signal.reason
        : new GitalyError('CANCELLED', 'context canceled'),
    );
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#context.signal.removeEventListener('abort', this.#onAbort);
  }
}
