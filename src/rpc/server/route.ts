import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  mergeFromBinary,
} from '@bufbuild/protobuf';
import { LoopSlice } from '#base/async/loop-turns';
import { encodeMessage } from '#wire/fast/encode-message';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import { countElements } from './count-elements.ts';
import { encodedPieces } from './encoded-pieces.ts';
import type { HandlerContext, ServedService } from './handler.ts';

/**
 * A handler of opaque messages: it receives and yields encoded messages (without the 5-byte prefix,
 * decompressed), whatever the method's kind is. A response may be a list of chunks, which are sent
 * uncopied.
 */
export type RawHandler = (
  requests: AsyncIterable<Buffer>,
  context: HandlerContext,
) => AsyncIterable<Uint8Array | readonly Uint8Array[]>;

/** Result of the hook for unknown methods. */
export interface RawMethod {
  readonly method: MethodInfo;
  readonly handler: RawHandler;
}

/** The handlers without their message types; `kind` distinguishes them. */
export type AnyHandler =
  | { readonly kind: 'unary' | 'client_stream'; run(requests: unknown, context: HandlerContext): unknown }
  | {
      readonly kind: 'server_stream' | 'bidi_stream';
      run(requests: unknown, context: HandlerContext): AsyncIterable<unknown>;
    };

/** A method with everything needed to run it. */
export interface Route {
  readonly method: MethodInfo;
  readonly isPublic: boolean;
  /** `undefined` if the method is registered but not implemented. */
  readonly handler: AnyHandler | undefined;
  decode(payload: Buffer): unknown;
  /** Decodes a large message; other work runs in between. */
  decodeInTurns(payload: Buffer): Promise<unknown>;
  /** Counts the elements of an encoded message, see {@link countElements}. */
  countElements(payload: Buffer, limit: number): number;
  encode(message: unknown): readonly Uint8Array[];
}

/**
 * Unknown fields are skipped. If they were kept, every two bytes could become an object: 3 MB of
 * them took 700 MB.
 */
const READ = { readUnknownFields: false };

/** Returns the routes of a service's methods. */
export function routesOf(served: ServedService): Route[] {
  return served.service.methods.map((desc) => {
    const method = methodInfo(desc);
    const run = served.implementation[desc.localName];
    return {
      method,
      isPublic: served.public,
      // `serve` has checked the handler against its method, so its shape matches the kind.
      handler: run === undefined ? undefined : ({ kind: method.kind, run } as AnyHandler),
      decode: (payload) => fromBinary(desc.input, payload, READ),
      decodeInTurns: (payload) => decodeInTurns(desc.input, payload),
      countElements: (payload, limit) => countElements(desc.input, payload, limit),
      encode: (message) => encodeResponse(desc.output, message),
    };
  });
}

/** Returns the route of a method whose messages stay opaque. */
export function rawRoute({ method, handler }: RawMethod): Route {
  return {
    method,
    isPublic: false,
    // A raw handler reads and writes streams, whatever the method's kind is.
    handler: {
      kind: 'bidi_stream',
      run: (requests, context) => handler(requests as AsyncIterable<Buffer>, context),
    },
    decode: (payload) => payload,
    decodeInTurns: (payload) => Promise.resolve(payload),
    countElements: () => 0,
    // The output type of a RawHandler.
    encode: (message) => (message instanceof Uint8Array ? [message] : (message as readonly Uint8Array[])),
  };
}

async function decodeInTurns(schema: DescMessage, payload: Buffer): Promise<Message> {
  const message = create(schema);
  const slice = new LoopSlice();
  for (const piece of encodedPieces(payload)) {
    await slice.pause();
    mergeFromBinary(schema, message, piece, READ);
  }
  return message;
}

function encodeResponse(schema: DescMessage, response: unknown): readonly Uint8Array[] {
  // Handlers return messages or plain objects of their output's shape; `create` returns messages
  // unchanged.
  const message: Message = create(schema, response as MessageInitShape<DescMessage>);
  return encodeMessage(schema, message);
}
