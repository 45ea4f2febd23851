import { joinBytes } from './collect-pieces.ts';

/**
 * Returns the bytes of a whole stream in one buffer. Use it for data that is known to be small; a
 * stream has no limit.
 */
export async function wholeBytes<Message>(
  messages: AsyncIterable<Message>,
  bytesOf: (message: Message) => Uint8Array,
): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const message of messages) all.push(bytesOf(message));
  return joinBytes(all);
}
