/**
 * Size of a frame header in bytes: version u8, type u8, flags u16, stream id u32, length u32, all
 * big endian.
 */
export const HEADER_BYTES = 12;

/** Initial window of every stream in both directions, independent of the configuration. */
export const INITIAL_WINDOW_BYTES = 256 * 1024;

/** The largest window that a frame can express. */
export const MAX_WINDOW_BYTES = 0xffff_ffff;

/** Types; `length` is: payload bytes, window delta, opaque ping value, go-away code. */
export const FRAME_TYPE = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const;

/** Bits of the flags field. On a ping, SYN is the request and ACK the response. */
export const FLAG = { syn: 1, ack: 2, fin: 4, rst: 8 } as const;

/** Reasons of a go away. */
export const GO_AWAY = { normal: 0, protocolError: 1, internalError: 2 } as const;

/** Returns the 12-byte header of a frame. */
export function encodeHeader(type: number, flags: number, streamId: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  // Version 0 and the type share the first two bytes; 16 and 32 bit stores are cheaper than twelve
  // single ones.
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(flags, 2);
  header.writeUInt32BE(streamId, 4);
  header.writeUInt32BE(length, 8);
  return header;
}
