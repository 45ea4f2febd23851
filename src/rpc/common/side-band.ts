import { Writable } from 'node:stream';
import { quote } from '#base/quote';
import { MAX_PACKET_BYTES, PacketSplitter } from './pkt-line.ts';

/** Standard output and standard error of the far end's command. */
export const BAND = { stdout: 1, stderr: 2 } as const;

/** Largest data of one packet: 65520 less four digits and the band. */
export const MAX_BAND_DATA_BYTES = MAX_PACKET_BYTES - 5;

type Done = (error?: Error | null) => void;

/**
 * A Writable whose bytes become side-band packets of one band on `target`. Several bands may write to one target at once: a
 * packet is never torn. Data is not copied. A write is done when the target took it. Ending a band writes nothing and leaves
 * `target` open. When `target` is gone, writes fail.
 */
export function sideBandWriter(target: Writable, band: number): Writable {
  const fullHeader = bandHeader(MAX_BAND_DATA_BYTES, band);
  const writeChunk = (chunk: Buffer, done: Done | undefined): void => {
    let offset = 0;
    while (chunk.length - offset > MAX_BAND_DATA_BYTES) {
      target.write(fullHeader);
      target.write(chunk.subarray(offset, offset + MAX_BAND_DATA_BYTES));
      offset += MAX_BAND_DATA_BYTES;
    }
    if (chunk.length > 0) target.write(bandHeader(chunk.length - offset, band));
    target.write(offset === 0 ? chunk : chunk.subarray(offset), done);
  };
  const writeAll = (chunks: readonly Buffer[], done: Done): void => {
    target.cork();
    for (const [index, chunk] of chunks.entries()) writeChunk(chunk, index === chunks.length - 1 ? done : undefined);
    target.uncork();
  };
  const writer = new Writable({
    highWaterMark: 64 * 1024,
    write: (chunk: Buffer, _encoding, done) => writeAll([chunk], done),
    writev: (items, done) =>
      writeAll(
        // Strings are decoded before they get here (decodeStrings is on).
        items.map((item) => item.chunk as Buffer),
        done,
      ),
  });
  // Whoever writes learns from its write that the target is gone; nobody may be surprised by the event.
  return writer.on('error', () => {});
}

/** A piece of what one band carries; a packet may come in several pieces. */
export interface BandPiece {
  readonly band: number;
  readonly data: Buffer;
}

/**
 * Reads side-band packets until the source ends. Pieces come in order, as they arrive, uncopied.
 *
 * @throws {Error} `invalid sideband packet: "0004"` for a packet without a band (special packets too), `unexpected EOF` for an end
 * inside a packet, `pktLineSplitter: …` for bytes that are no packets
 */
export async function* readSideBand(source: AsyncIterable<Buffer>): AsyncGenerator<BandPiece, void, undefined> {
  let pieces: BandPiece[] = [];
  let band: number | undefined;
  const splitter = new PacketSplitter({
    packet: (length) => {
      if (length <= 4) throw new Error(`invalid sideband packet: ${quote(length.toString().padStart(4, '0'))}`);
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

function bandHeader(dataBytes: number, band: number): Buffer {
  const header = Buffer.from(`${(dataBytes + 5).toString(16).padStart(4, '0')}\0`, 'latin1');
  header[4] = band;
  return header;
}
