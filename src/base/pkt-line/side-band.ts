import { Writable } from 'node:stream';
import { quote } from '../go/quote.ts';
import { LENGTH_DIGITS, packet } from './packet.ts';
import { PacketSplitter } from './packet-splitter.ts';
import { bandFraming, writePackets } from './write-packets.ts';

/** Bands for standard output and standard error of the remote command. */
export const BAND = { stdout: 1, stderr: 2 } as const;

/**
 * Returns a Writable that sends its bytes to `target` as side-band packets of one band. Several
 * bands may share a target, and packets are never split between them. Data is not copied. A write
 * completes when the target has accepted it. Ending a band writes nothing and leaves `target` open.
 * When `target` is closed, writes fail.
 */
export function sideBandWriter(target: Writable, band: number): Writable {
  const framing = bandFraming(band);
  const writer = new Writable({
    highWaterMark: 64 * 1024,
    write: (chunk: Buffer, _encoding, done) => writePackets(target, [chunk], framing, done),
    writev: (items, done) =>
      writePackets(
        target,
        // decodeStrings is on, so strings are decoded before.
        items.map((item): Buffer => item.chunk),
        framing,
        done,
      ),
  });
  // The write reports that the target is closed; without a listener the event would end the
  // process.
  return writer.on('error', () => {});
}

/** Returns one packet of a side band with a copy of `data`. */
export function bandPacket(band: number, data: Uint8Array): Buffer {
  return packet(Buffer.concat([Buffer.of(band), data]));
}

/** Data of one band; a packet may arrive in several pieces. */
export interface BandPiece {
  readonly band: number;
  readonly data: Buffer;
}

/**
 * Reads side-band packets until the source ends. Yields the pieces in order, as they arrive,
 * uncopied.
 *
 * @throws {Error} `invalid sideband packet: "0004"` for a packet without a band (including special
 *   packets), `unexpected EOF` for an end inside a packet, `pktLineSplitter: …` for bytes that are
 *   not packets
 */
export async function* readSideBand(
  source: AsyncIterable<Buffer>,
): AsyncGenerator<BandPiece, void, undefined> {
  let pieces: BandPiece[] = [];
  let band: number | undefined;
  const splitter = new PacketSplitter({
    packet: (length) => {
      if (length <= LENGTH_DIGITS)
        throw new Error(`invalid sideband packet: ${quote(length.toString().padStart(LENGTH_DIGITS, '0'))}`);
      band = undefined;
      return true;
    },
    payload: (piece) => {
      const data = band === undefined ? piece.subarray(1) : piece;
      band ??= piece.readUInt8(0);
      if (data.length > 0) pieces.push({ band, data });
    },
  });
  for await (const chunk of source) {
    let failure: unknown;
    try {
      splitter.write(chunk);
    } catch (error) {
      failure = error;
    }
    const complete = pieces;
    pieces = [];
    yield* complete;
    if (failure !== undefined) throw failure;
  }
  splitter.end();
}
