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
export interface CallRoute {
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
export function routesOf(served: ServedService): CallRoute[] {
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
export function rawRoute({ method, handler }: RawMethod): CallRoute {
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

/** Bytes of a piece, unless a single field is larger: a thousand short elements, half a millisecond. */
const PIECE_BYTES = 16_384;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;
/** Longest varint of a valid message. */
const MAX_VARINT_BYTES = 10;

/**
 * Cuts an encoded message between its fields. Each piece is an encoded message of the same type;
 * merged in their order they are the message. From malformed bytes on, the rest is one piece, so
 * that decoding fails as it does for the whole.
 */
export function* encodedPieces(message: Uint8Array): Generator<Uint8Array, void> {
  let start = 0;
  for (let at = 0; at < message.length; ) {
    const end = endOfField(message, at);
    if (end === undefined) break;
    at = end;
    if (at - start < PIECE_BYTES) continue;
    yield message.subarray(start, at);
    start = at;
  }
  if (start < message.length) yield message.subarray(start);
}

/** Returns the position after the field at a position; `undefined` if it is malformed or a group. */
function endOfField(message: Uint8Array, start: number): number | undefined {
  const tag = varintAt(message, start);
  if (tag === undefined) return undefined;
  const end = endOfValue(message, tag);
  return end !== undefined && end <= message.length ? end : undefined;
}

function endOfValue(message: Uint8Array, { value, end }: Varint): number | undefined {
  switch (value & 7) {
    case VARINT:
      return varintAt(message, end)?.end;
    case FIXED64:
      return end + 8;
    case FIXED32:
      return end + 4;
    case LENGTH: {
      const length = varintAt(message, end);
      return length && length.end + length.value;
    }
    default:
      return undefined;
  }
}

interface Varint {
  /** The lower 32 bits, which is all that tags and lengths have. */
  readonly value: number;
  readonly end: number;
}

function varintAt(message: Uint8Array, start: number): Varint | undefined {
  let value = 0;
  for (let index = 0; index < MAX_VARINT_BYTES; index++) {
    const byte = message[start + index];
    if (byte === undefined) return undefined;
    if (index < 5) value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return { value: value >>> 0, end: start + index + 1 };
  }
  return undefined;
}
