import { create, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';
import { FRAME_PREFIX_BYTES, putFrame, sizeOf } from './grpc-frame.ts';

/** Responses that are sent again and again, with their prefixes. */
export interface ReadyResponses {
  readonly count: number;
  /** Length of the messages without prefixes. */
  readonly messageBytes: number;
  readonly frames: Buffer;
}

const READY = Symbol('ready');

/**
 * Returns a message that represents several encoded ones: a server that is to send it sends those,
 * uncopied and in one piece. Code in this process that reads its fields sees empty ones.
 */
export function readyMessage<Desc extends DescMessage>(
  schema: Desc,
  responses: ReadyResponses,
): MessageShape<Desc> {
  return Object.assign(create(schema), { [READY]: responses });
}

/**
 * Puts encoded messages into frames. The messages are copied.
 *
 * @param options.isKept for responses in a cache: in Node's pool of small buffers, each of them
 *   would keep 64 KiB of the pool.
 */
export function readyResponses(
  messages: readonly Uint8Array[],
  { isKept = false }: { readonly isKept?: boolean } = {},
): ReadyResponses {
  const messageBytes = sizeOf(messages);
  const bytes = messages.length * FRAME_PREFIX_BYTES + messageBytes;
  const frames = isKept ? Buffer.allocUnsafeSlow(bytes) : Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const message of messages) at = putFrame(frames, at, message);
  return { count: messages.length, messageBytes, frames };
}

/** Returns the responses that a message represents; `undefined` for any other. */
export function readyIn(message: unknown): ReadyResponses | undefined {
  // Any message may have this property.
  return (message as Message & { readonly [READY]?: ReadyResponses })[READY];
}
