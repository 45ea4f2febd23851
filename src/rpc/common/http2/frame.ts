/** RFC 9113, section 4.1. */
export const FRAME_HEADER_BYTES = 9;
/** Limit of a frame's payload that neither side of a connection has raised. */
export const MAX_FRAME_BYTES = 16_384;
/** Largest window of a stream or connection. */
export const MAX_PEER_WINDOW_BYTES = 0x7fff_ffff;
/** Windows before any change of them. */
export const DEFAULT_WINDOW_BYTES = 65_535;

/** RFC 9113, section 6. */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Flags of frames. ACK is for SETTINGS and PING, the others for DATA and headers. */
export const Flag = { ACK: 1, END_STREAM: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 0x20 } as const;

/** RFC 9113, section 6.5.2. */
export const Http2Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** A frame that was received. Its payload is a part of the received bytes. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** The fields before a payload. */
export interface FrameHeader {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
}

/** Writes the header of a frame. Returns the position of its payload. */
export function putFrameHeader(buffer: Buffer, at: number, header: FrameHeader): number {
  const { flags, length, streamId, type } = header;
  buffer[at] = length >>> 16;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length;
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  putUint32(buffer, at + 5, streamId);
  return at + FRAME_HEADER_BYTES;
}

/** Returns a frame of the connection itself: settings, a ping, GOAWAY. */
export function connectionFrame(type: number, flags: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  putFrameHeader(header, 0, { length: payload.length, type, flags, streamId: 0 });
  return Buffer.concat([header, payload]);
}

function putUint32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
}

/** Returns a payload of one number. */
export function uint32(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(4);
  putUint32(buffer, 0, value);
  return buffer;
}

/** Reads a number of 31 bits. Its first bit is reserved, and ignored. */
export function uint31(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) & 0x7fff_ffff;
}
