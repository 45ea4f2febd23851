import { GitalyError, messageOf } from '#base/gitaly-error';
import type { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';
import type { MethodInfo } from '#wire/method-info';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { FrameFan } from './frame-fan.ts';
import { proxySidechannel } from './proxy-sidechannel.ts';

/** One node that receives the call. */
export interface Destination {
  readonly node: GitalyNode;
  readonly metadata: Metadata;
  /** The client's first message, rewritten for this node. All others are passed on as they are. */
  readonly firstFrame: Buffer;
  /** Receives the error with which the node ended the call; returns it, or `undefined` to go on. */
  onError(error: unknown): unknown;
}

/** The nodes of a call, and what happens after it. */
export interface ProxyPlan {
  /** Its responses go to the client. */
  readonly primary: Destination;
  /** Their responses are dropped. */
  readonly secondaries: readonly Destination[];
  /** Runs after the call, in any case. Its error is the call's if that has none. */
  finish(): Promise<void>;
}

/**
 * Passes a call on to its nodes: the client's messages to all of them, the primary's responses,
 * trailers and status to the client. It ends when all nodes have ended.
 *
 * @param requests the client's messages after the first.
 * @throws the primary's error as it is; {GitalyError} INTERNAL `failed proxying to secondary: …`.
 */
export async function* proxyCall(
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
  { primary, secondaries }: ProxyPlan,
  context: HandlerContext,
): AsyncGenerator<Buffer> {
  const ending = new AbortController();
  const signal = AbortSignal.any([context.signal, ending.signal]);
  const destinations = [primary, ...secondaries];
  const fan = new FrameFan(
    requests,
    destinations.map(({ firstFrame }) => firstFrame),
  );
  const options = context.deadline === undefined ? { signal } : { signal, deadline: context.deadline };
  await using sidechannel = proxySidechannel(primary.node, context);
  for (const [key, value] of sidechannel?.metadata ?? []) primary.metadata.set(key, value);
  const calls = destinations.map(({ metadata, node }, index) =>
    node.invokeRaw(method, fan.destinations[index] ?? [], { ...options, metadata }),
  );
  const [answer, ...others] = calls;
  let secondaryFailure: unknown;
  const drained = Promise.all(others.map((call, index) => drain(call, secondaries[index]))).catch((error) => {
    secondaryFailure = error;
    ending.abort();
  });
  void fan.run();
  try {
    if (answer !== undefined) {
      yield* answer;
      const trailers = await answer.trailers;
      for (const [key, value] of trailers.entries())
        if (!key.startsWith('grpc-')) context.trailers.append(key, value);
    }
    await drained;
    if (secondaryFailure !== undefined) throw secondaryFailure;
    await sidechannel?.finished();
  } catch (error) {
    const failure = secondaryFailure ?? primary.onError(error);
    if (failure !== undefined) ending.abort();
    await drained;
    await sidechannel?.finished().catch(() => {}); // the call's error is more specific
    if (failure !== undefined) throw failure;
  } finally {
    ending.abort();
    fan.close();
  }
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
