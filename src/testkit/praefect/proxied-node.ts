import { type ErrorDetail, GitalyError, type StatusCode } from '#base/gitaly-error';
import { CallError } from '#client/index';
import type { GitalyNode, RawCallOptions } from '#praefect/nodes/gitaly-node';
import type { Destination } from '#praefect/proxy/proxy-plan';
import { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import { servedByGitaly } from '#wire/methods';
import { standIn } from '../stand-in.ts';

/** The course of one call on a node, in place of a Gitaly. */
export interface NodeScript {
  readonly headers?: Metadata;
  readonly responses?: readonly string[];
  /** Runs after the responses, before the end. */
  readonly before?: (call: NodeCall) => Promise<void>;
  /** Error that ends the call. Without it, the call succeeds. */
  readonly error?: unknown;
  readonly trailers?: Metadata;
}

/** A call that a node has received. */
export interface NodeCall {
  readonly method: MethodInfo;
  readonly options: RawCallOptions;
  /** Reads the frames to their end. */
  frames(): Promise<readonly string[]>;
  /** Reasons with which the caller has cancelled it. */
  readonly canceled: unknown[];
}

/** A node for tests of a proxy: its calls follow scripts, one after the other. */
export function proxiedNode(...scripts: NodeScript[]) {
  const calls: NodeCall[] = [];
  const node = {
    storage: 'a',
    invokeRaw(method: MethodInfo, requests: AsyncIterable<Buffer>, options: RawCallOptions) {
      const { before, error, headers, responses = [], trailers } = scripts.shift() ?? {};
      const call: NodeCall = {
        ...{ method, options, canceled: [] },
        frames: async () => (await Array.fromAsync(requests)).map(String),
      };
      calls.push(call);
      const messages = async function* () {
        if (headers !== undefined) options.onHeaders?.(headers);
        for (const response of responses) yield Buffer.from(response);
        await before?.(call);
        if (error !== undefined) throw error;
        if (trailers !== undefined) options.onTrailers?.(trailers);
      };
      return {
        trailers: Promise.resolve(trailers ?? Metadata.from()),
        cancel: (reason: unknown) => void call.canceled.push(reason),
        [Symbol.asyncIterator]: messages,
      };
    },
  };
  return { calls, node: standIn<GitalyNode>(node) };
}

/** A destination that records the errors of its node. @param keep returns the error of the call */
export function destinationOf(
  { node }: { readonly node: GitalyNode },
  keep: (error: unknown) => unknown = (error) => error,
): Destination & { readonly errors: unknown[] } {
  const errors: unknown[] = [];
  return {
    ...{ node, errors, metadata: Metadata.from({ own: 'of the destination' }) },
    firstFrame: Buffer.from('first'),
    onError: (error) => {
      errors.push(error);
      return keep(error);
    },
  };
}

/** A call of a client; `abort` ends it as if the client had gone. */
export function clientContext({ deadline }: { readonly deadline?: Date } = {}) {
  const controller = new AbortController();
  const gone = new GitalyError('CANCELLED', 'context canceled');
  const context = {
    signal: controller.signal,
    get abortReason() {
      return controller.signal.aborted ? gone : undefined;
    },
    deadline,
    headers: Metadata.from(),
    responseHeaders: Metadata.from(),
    trailers: Metadata.from(),
  };
  return { abort: () => controller.abort(gone), context: standIn<HandlerContext>(context), gone };
}

const METHODS = servedByGitaly.flatMap(({ methods }) => methods.map(methodInfo));

/** Returns the method with a name that no other method has. */
export function methodOf(name: string): MethodInfo {
  const found = METHODS.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no method ${name}`);
  return found;
}

export interface CallErrorFacts {
  readonly method?: MethodInfo;
  /** There was no connection. */
  readonly unsent?: boolean;
  /** The node did not start with it. */
  readonly unprocessed?: boolean;
  readonly details?: readonly ErrorDetail[];
  /** Value in the trailers. */
  readonly cost?: string;
}

/** An error of a call to a node, with its trailers. */
export function callError(
  code: StatusCode,
  { method = methodOf('FindCommit'), ...facts }: CallErrorFacts = {},
): CallError {
  const { unsent, unprocessed, details = [] } = facts;
  const metadata = { ...(unsent && { unsent }), ...(unprocessed && { unprocessed }) };
  return new CallError(new GitalyError(code, 'of the node', { metadata, details }), {
    ...{ rpc: method.path, address: 'tcp://a:8075', operation: method.operation },
    trailers: Metadata.from(facts.cost === undefined ? {} : { cost: facts.cost }),
  });
}

/** The messages of a client after the first. */
export async function* messagesOf(...texts: string[]): AsyncGenerator<Buffer, void> {
  for (const text of texts) yield Buffer.from(text);
}
