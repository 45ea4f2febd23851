import type { Writable } from 'node:stream';
import { LENGTH_DIGITS, MAX_PACKET_PAYLOAD_BYTES, packetHeader, writePacketLength } from './packet.ts';

/** Maximum data of one side-band packet: the band takes one byte of the payload. */
export const MAX_BAND_DATA_BYTES = MAX_PACKET_PAYLOAD_BYTES - 1;

/** Rules for splitting a stream of bytes into packets. */
export interface Framing {
  readonly maxDataBytes: number;
  /** Returns the header of a packet with that many bytes of data. */
  header(dataBytes: number): Buffer;
  /** Header of a packet with `maxDataBytes` of data. */
  readonly fullHeader: Buffer;
}

/** Framing for packets that contain only data. */
export const PLAIN_FRAMING: Framing = {
  maxDataBytes: MAX_PACKET_PAYLOAD_BYTES,
  header: packetHeader,
  fullHeader: packetHeader(MAX_PACKET_PAYLOAD_BYTES),
};

/** Returns the framing for packets of one side band. */
export function bandFraming(band: number): Framing {
  const header = (dataBytes: number): Buffer => bandHeader(dataBytes, band);
  return { maxDataBytes: MAX_BAND_DATA_BYTES, header, fullHeader: header(MAX_BAND_DATA_BYTES) };
}

type Done = (error?: Error | null) => void;

/**
 * Writes chunks as packets: as few as possible for each chunk, and none for an empty one. Data is
 * not copied. Calls `done` when the target has accepted all of it.
 */
export function writePackets(
  target: Writable,
  chunks: readonly Buffer[],
  framing: Framing,
  done: Done,
): void {
  target.cork();
  for (const [index, chunk] of chunks.entries())
    writeChunk(target, chunk, framing, index === chunks.length - 1 ? done : undefined);
  target.uncork();
}

function writeChunk(target: Writable, chunk: Buffer, framing: Framing, done: Done | undefined): void {
  const { maxDataBytes } = framing;
  let offset = 0;
  for (; chunk.length - offset > maxDataBytes; offset += maxDataBytes) {
    target.write(framing.fullHeader);
    target.write(chunk.subarray(offset, offset + maxDataBytes));
  }
  if (chunk.length > 0) target.write(framing.header(chunk.length - offset));
  target.write(offset === 0 ? chunk : chunk.subarray(offset), done);
}

function bandHeader(dataBytes: number, band: number): Buffer {
  const header = Buffer.allocUnsafe(LENGTH_DIGITS + 1);
  writePacketLength(header, 0, header.length + dataBytes);
  header[LENGTH_DIGITS] = band;
  return header;
}
