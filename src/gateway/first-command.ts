import type { Readable } from 'node:stream';
import { type Packet, packetAt } from '#base/pkt-line/packet';
import { stoppableChunks } from '#base/streams/stoppable-chunks';
import type { ObjectFormatName } from './empty-advertisement.ts';

/** The beginning of a client's input of `git receive-pack`. */
export type PushBeginning =
  /** Nothing, or a flush packet, as a client sends to find out whether it must sign in. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'invalid' }
  | {
      readonly kind: 'push';
      /** Object format of the client's objects; `undefined` if the beginning does not show it. */
      readonly objectFormat: ObjectFormatName | undefined;
      /** The whole push, including the part already read. Only one reader is allowed. */
      readonly bytes: AsyncIterable<Uint8Array>;
    };

/**
 * Matches the first packet of a push: a command, or a shallow commit of the client. @see git:
 * Documentation/gitprotocol-pack.adoc, 'Reference Update Request and Packfile Transfer'.
 */
const COMMAND = /^(?:shallow )?([0-9a-f]{40}|[0-9a-f]{64})(?: (?:[0-9a-f]{40}|[0-9a-f]{64}) |\n?$)/;
const SIGNED = /^push-cert\0(.*)/s;
const FORMAT = /(?:^| )object-format=(sha1|sha256)(?=[ \n]|$)/;
const SHA256_DIGITS = 64;

/** Reads the first packet of a push. It waits for the client, and buffers at most one packet. */
export async function readBeginning(input: Readable | AsyncIterable<Uint8Array>): Promise<PushBeginning> {
  const chunks = stoppableChunks(input);
  let read: Buffer = Buffer.alloc(0);
  let packet: Packet | 'incomplete' | 'invalid' = 'incomplete';
  while (packet === 'incomplete') {
    const { done, value } = await chunks.next();
    if (done === true) break;
    read = Buffer.concat([read, value]);
    packet = packetAt(read, 0);
  }
  if (packet === 'flush' || read.length === 0) {
    await chunks.return?.();
    return { kind: 'nothing' };
  }
  const text = typeof packet === 'string' ? '' : packet.toString('latin1');
  if (!COMMAND.test(text) && !SIGNED.test(text)) {
    await chunks.return?.();
    return { kind: 'invalid' };
  }
  return { kind: 'push', objectFormat: formatOf(text), bytes: resumed(read, chunks) };
}

/** Returns an iterator over what was read and the rest, which can be stopped during a wait. */
function resumed(
  read: Uint8Array,
  rest: AsyncIterableIterator<Uint8Array, void>,
): AsyncIterableIterator<Uint8Array, void> {
  let first: Uint8Array | undefined = read;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: async () => {
      if (first === undefined) return await rest.next();
      const value = first;
      first = undefined;
      return { done: false, value };
    },
    return: async () => (await rest.return?.()) ?? { done: true, value: undefined },
  };
}

function formatOf(text: string): ObjectFormatName | undefined {
  const id = COMMAND.exec(text)?.[1];
  if (id !== undefined) return id.length === SHA256_DIGITS ? 'sha256' : 'sha1';
  // the pattern has these two
  return FORMAT.exec(SIGNED.exec(text)?.[1] ?? '')?.[1] as ObjectFormatName | undefined;
}
