import { ConnectionError } from './connection-error.ts';
import { DEFAULT_WINDOW_BYTES, Http2Setting, MAX_FRAME_BYTES, MAX_PEER_WINDOW_BYTES } from './frame.ts';

const PAIR_BYTES = 6;
const MAX_MAX_FRAME_BYTES = 0xff_ffff;

/** The settings of the peer that matter to a client. Frames of the default size are always allowed. */
export class PeerSettings {
  /** No limit until it is known (RFC 9113, 6.5.2). */
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindowBytes = DEFAULT_WINDOW_BYTES;
  maxHeaderListBytes = Number.POSITIVE_INFINITY;

  /** @throws {ConnectionError} for values that the protocol does not allow. */
  update(payload: Buffer): void {
    if (payload.length % PAIR_BYTES !== 0)
      throw new ConnectionError('FRAME_SIZE_ERROR', 'settings are cut off');
    for (let at = 0; at < payload.length; at += PAIR_BYTES)
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }

  #set(setting: number, value: number): void {
    switch (setting) {
      case Http2Setting.MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        return;
      case Http2Setting.INITIAL_WINDOW_SIZE:
        if (value > MAX_PEER_WINDOW_BYTES)
          throw new ConnectionError('FLOW_CONTROL_ERROR', 'a window is too large');
        this.initialWindowBytes = value;
        return;
      case Http2Setting.MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value;
        return;
      case Http2Setting.ENABLE_PUSH:
        if (value !== 0) throw new ConnectionError('PROTOCOL_ERROR', 'a server does not enable pushes');
        return;
      case Http2Setting.MAX_FRAME_SIZE:
        if (value < MAX_FRAME_BYTES || value > MAX_MAX_FRAME_BYTES)
          throw new ConnectionError('PROTOCOL_ERROR', `frames of ${value} bytes are not allowed`);
        return;
      default: // headers are encoded without a table; all others are unknown, and ignored
    }
  }
}
