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
  { primary, secondaries }: ProxyPlan,
  context: HandlerContext,
): AsyncGenerator<Buffer> {
  // Leaving the loop below ends the call of the primary; the others need the signal.
  const ending = secondaries.length === 0 ? undefined : new AbortController();
  const signal = ending === undefined ? context.signal : AbortSignal.any([context.signal, ending.signal]);
  const destinations = [primary, ...secondaries];
  const fan = new FrameFan(
    requests,
    destinations.map(({ firstFrame }) => firstFrame),
  );
  const options = context.deadline === undefined ? { signal } : { signal, deadline: context.deadline };
  await using sidechannel = proxySidechannel(primary.node, context);
  for (const [key, value] of sidechannel?.metadata ?? []) primary.metadata.set(key, value);
  const onHeaders = (headers: Metadata): void => copyHeaders(headers, context);
  const calls = destinations.map(({ metadata, node }, index) => {
    const ownOptions = { ...options, metadata, ...(index === 0 && { onHeaders }) };
    return node.invokeRaw(method, fan.destinations[index] ?? [], ownOptions);
  });
  const [answer, ...others] = calls;
  let secondaryFailure: unknown;
  const drained = Promise.all(others.map((call, index) => drain(call, secondaries[index]))).catch((error) => {
    secondaryFailure = error;
    ending?.abort();
  });
  void fan.run();
  let isOver = false;
  try {
    if (answer !== undefined) {
      yield* answer;
      copyTrailers(await answer.trailers, context);
    }
    await drained;
    if (secondaryFailure !== undefined) throw secondaryFailure;
    await sidechannel?.finished();
    isOver = true;
  } catch (error) {
    isOver = true;
    // Rails adds up what calls cost, also of those that fail.
    if (error instanceof CallError) copyTrailers(error.trailers, context);
    const failure = secondaryFailure ?? primary.onError(error);
    if (failure !== undefined) ending?.abort();
    await drained;
    await sidechannel?.finished().catch(() => {}); // the call's error is more specific
    if (failure !== undefined) throw failure;
  } finally {
    if (!isOver) {
      // The client has gone. What has become of the nodes is known when all have ended.
      primary.onError(new GitalyError('CANCELLED', 'context canceled'));
      ending?.abort();
      await drained;
    }
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
