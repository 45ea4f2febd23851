import { create, type DescMessage, fromBinary, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import { encodeMessage } from '#wire/fast/encode-message';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import type { HandlerContext, ServedService } from './handler.ts';

/**
 * A handler of opaque messages: it gets and gives encoded messages (without the 5-byte prefix, unpacked), whatever the method's
 * kind is. A response may come in chunks, which are sent without a copy.
 */
export type RawHandler = (
  requests: AsyncIterable<Buffer>,
  context: HandlerContext,
) => AsyncIterable<Uint8Array | readonly Uint8Array[]>;

/** What a hook for unknown methods answers with. */
export interface RawMethod {
  readonly method: MethodInfo;
  readonly handler: RawHandler;
}

/** The handlers with their types forgotten; `kind` says which one it is. */
export type AnyHandler =
  | { readonly kind: 'unary' | 'client_stream'; run(requests: unknown, context: HandlerContext): unknown }
  | { readonly kind: 'server_stream' | 'bidi_stream'; run(requests: unknown, context: HandlerContext): AsyncIterable<unknown> };

/** All that it takes to run a method. */
export interface Route {
  readonly method: MethodInfo;
  readonly isPublic: boolean;
  /** `undefined`: registered, but nobody implements it. */
  readonly handler: AnyHandler | undefined;
  decode(payload: Buffer): unknown;
  encode(message: unknown): readonly Uint8Array[];
}

/**
 * What is not of our interface is passed over. Kept, every two bytes of it would become an object: 3 MB of them took 700 MB.
 */
const READ = { readUnknownFields: false };

/** The routes of a service's methods. */
export function routesOf(served: ServedService): Route[] {
  return served.service.methods.map((desc) => {
    const method = methodInfo(desc);
    const run = served.implementation[desc.localName];
    return {
      method,
      isPublic: served.public,
      // `serve` has checked the handler against its method, so its shape is the one that the kind says.
      handler: run === undefined ? undefined : ({ kind: method.kind, run } as AnyHandler),
      decode: (payload) => fromBinary(desc.input, payload, READ),
      encode: (message) => encodeResponse(desc.output, message),
    };
  });
}

/** The route of a method whose messages stay opaque. */
export function rawRoute({ method, handler }: RawMethod): Route {
  return {
    method,
    isPublic: false,
    // A raw handler reads and answers streams, whatever the method's kind.
    handler: { kind: 'bidi_stream', run: (requests, context) => handler(requests as AsyncIterable<Buffer>, context) },
    decode: (payload) => payload,
    // What a RawHandler yields.
    encode: (message) => (message instanceof Uint8Array ? [message] : (message as readonly Uint8Array[])),
  };
}

function encodeResponse(schema: DescMessage, response: unknown): Uint8Array[] {
  // Handlers return messages or plain objects of their output's shape; `create` gives messages back as they are.
  const message: Message = create(schema, response as MessageInitShape<DescMessage>);
  return encodeMessage(schema, message);
}
