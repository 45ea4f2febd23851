import { packetAt, sizeOfPacket } from '#base/pkt-line/packet';

/** Lines of a request; `undefined` represents a delimiter packet. */
export type RequestLines = readonly (string | undefined)[];

/**
 * Returns the lines of one request that ends with a flush packet, without their line feeds.
 *
 * @returns `incomplete` if the flush packet is missing, `invalid` for other bytes.
 */
export function requestLines(bytes: Buffer): RequestLines | 'incomplete' | 'invalid' {
  const lines: (string | undefined)[] = [];
  for (let at = 0; at < bytes.length; ) {
    const packet = packetAt(bytes, at);
    if (packet === 'invalid' || packet === 'incomplete') return packet;
    at += sizeOfPacket(packet);
    if (packet === 'flush') return at === bytes.length ? lines : 'invalid';
    if (typeof packet === 'string' && packet !== 'delimiter') return 'invalid';
    lines.push(packet === 'delimiter' ? undefined : packet.toString('latin1').replace(/\n$/, ''));
  }
  return 'incomplete';
}
