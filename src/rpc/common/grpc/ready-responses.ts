import { create, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';
import { encodeFrame, sizeOf } from './grpc-frame.ts';

/** Responses that are sent again and again, with their prefixes. */
export interface ReadyResponses {
  readonly count: number;
  /** Length of the messages without prefixes. */
  readonly messageBytes: number;
  readonly frames: Buffer;
}

const READY = Symbol('ready');

/**
 * Returns a message that stands for several encoded ones: a server that is to send it sends those,
 * uncopied and in one piece. Code in this process that reads its fields sees empty ones.
 */
export function readyMessage<Desc extends DescMessage>(
  schema: Desc,
  responses: ReadyResponses,
): MessageShape<Desc> {
  return Object.assign(create(schema), { [READY]: responses });
}

/** Puts encoded messages into frames. */
export function readyResponses(messages: readonly Uint8Array[]): ReadyResponses {
  return {
    count: messages.length,
    messageBytes: sizeOf(messages),
    frames: Buffer.concat(messages.flatMap((message) => encodeFrame([message]))),
  };
}

/** Returns the responses that a message stands for; `undefined` for any other. */
export function readyIn(message: unknown): ReadyResponses | undefined {
  // Any message may have it.
  return (message as Message & { readonly [READY]?: ReadyResponses })[READY];
}
