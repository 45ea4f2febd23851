/** Calls for tests of what Praefect sends to which node. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { RepositoryCall } from '#praefect/coordinator/call';
import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';
import { methodInfo } from '#wire/method-info';
import { standIn } from '../stand-in.ts';

type Method = Parameters<typeof methodInfo>[0];

/** Returns a node that accepts calls. Only its name matters to plans. */
export function readyNode(storage: string): GitalyNode {
  return standIn({ storage, isReady: true, config: { virtualStorage: 'default' } });
}

/** A call on the repository `a.git` of the virtual storage `default`, and what was logged about it. */
export interface CoordinatedCall {
  readonly call: RepositoryCall;
  /** Fields of the call's log line. */
  readonly fields: Record<string, unknown>;
  readonly leave: (reason: Error) => void;
}

/** Returns a call of a method. @param request an initializer of its input. */
export function coordinatedCall(
  method: Method,
  request: object,
  headers: Readonly<Record<string, string>> = {},
): CoordinatedCall {
  const fields: Record<string, unknown> = {};
  const info = methodInfo(method);
  const leaving = new AbortController();
  const context = standIn<HandlerContext>({
    method: info,
    headers: Metadata.from(headers),
    correlationId: 'id',
    signal: leaving.signal,
    log: { add: (more: object) => void Object.assign(fields, more) },
  });
  const repository = { virtualStorage: 'default', relativePath: 'a.git' };
  // The request as a server decodes it.
  const decoded = fromBinary(
    method.input,
    toBinary(method.input, create(method.input, request as MessageInitShape<DescMessage>)),
  );
  return {
    call: { method: info, request: decoded, context, repository },
    fields,
    leave: (reason) => leaving.abort(reason),
  };
}

/** Returns the messages that the nodes of a plan receive. */
export function sentMessages<I extends DescMessage>(
  input: I,
  destinations: readonly { readonly firstFrame: Buffer }[],
): MessageShape<I>[] {
  return destinations.map(({ firstFrame }) => fromBinary(input, firstFrame));
}
