import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { bulkBuffers, withoutWaste } from '#base/memory/bulk-buffers';
import { MAX_PACKET_BYTES } from '#base/pkt-line/packet';
import { BAND } from '#base/pkt-line/side-band';
import { bandFraming, MAX_BAND_DATA_BYTES } from '#base/pkt-line/write-packets';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';

const FRAMING = bandFraming(BAND.stdout);
/** Copying more takes as long as the call of a function that does it. */
const MAX_SHORT_BYTES = 16;
const HEADER_BYTES = FRAMING.fullHeader.length;

/**
 * Writes a pack as side-band packets, and computes its checksum. A small answer is one write, which
 * costs as much as the search of a small object.
 */
export class PackOutput {
  /** Bytes so far, without headers of packets. */
  position = 0;
  readonly #writer: Pick<StreamWriter, 'write'>;
  readonly #hash: Hash | undefined;
  /** Complete packets, not written yet. */
  #complete: Buffer[] = [];
  /** Packets that are being filled, up to `#to`. */
  #packets: Buffer | undefined;
  #packet = 0;
  #to = 0;

  /** @param algorithm of the checksum; `undefined` for none. */
  constructor(writer: Pick<StreamWriter, 'write'>, algorithm: 'sha1' | 'sha256' | undefined) {
    this.#writer = writer;
    this.#hash = algorithm && createHash(algorithm);
  }

  /**
   * Adds a copy of some bytes, or of a part of them. Call {@link drain} after each quarter of a
   * megabyte.
   */
  add(bytes: Buffer, start = 0, end = bytes.length): void {
    this.position += end - start;
    for (let at = start; at < end; ) {
      const packets = this.#packets ?? this.#open();
      const length = Math.min(end - at, this.#packet + MAX_PACKET_BYTES - this.#to);
      if (length > MAX_SHORT_BYTES) bytes.copy(packets, this.#to, at, at + length);
      else for (let index = 0; index < length; index++) packets[this.#to + index] = bytes[at + index] ?? 0;
      at += length;
      this.#to += length;
      if (this.#to - this.#packet === MAX_PACKET_BYTES) this.#endPacket();
    }
  }

  /** Adds a packet that is not of the pack: what comes before and behind it, and messages. */
  addPacket(packet: Buffer): void {
    this.#endPacket();
    for (let at = 0; at < packet.length; ) {
      const packets = this.#packets ?? this.#open();
      const length = packet.copy(packets, this.#packet, at);
      at += length;
      this.#beginPacket(packets, this.#packet + length);
    }
  }

  /** Writes the complete packets. @throws what the writer throws. */
  async drain(): Promise<void> {
    const complete = this.#complete;
    this.#complete = [];
    for (const packets of complete) await this.#writer.write(withoutWaste(packets), bulkBuffers.give);
  }

  /** Writes everything that was added. @throws as {@link drain}. */
  async flush(): Promise<void> {
    this.#endPacket();
    if (this.#packets !== undefined) this.#complete.push(this.#packets.subarray(0, this.#packet));
    this.#packets = undefined;
    await this.drain();
  }

  /**
   * Adds a part of a file, which is read to where it is sent from.
   *
   * @throws {GitalyError} INTERNAL when the file ends before; the system's error; as {@link drain}.
   */
  async addFile(file: FileHandle, start: number, end: number): Promise<void> {
    await this.flush();
    for (let at = start; at < end; ) {
      const packets = bulkBuffers.take();
      const parts: Buffer[] = [];
      let [to, next] = [0, at];
      while (next < end && to + MAX_PACKET_BYTES <= packets.length) {
        const length = Math.min(end - next, MAX_BAND_DATA_BYTES);
        to += FRAMING.header(length).copy(packets, to);
        parts.push(packets.subarray(to, to + length));
        to += length;
        next += length;
      }
      const { bytesRead } = await file.readv(parts, at);
      if (bytesRead < next - at) throw new GitalyError('INTERNAL', 'a pack ends early');
      for (const part of parts) this.#hash?.update(part);
      await this.#writer.write(withoutWaste(packets.subarray(0, to)), bulkBuffers.give);
      at = next;
    }
    this.position += end - start;
  }

  /** Adds the checksum of everything before. Nothing may be added after it. */
  addChecksum(): void {
    this.#endPacket();
    if (this.#hash !== undefined) this.add(this.#hash.copy().digest());
  }

  #open(): Buffer {
    const packets = bulkBuffers.take();
    this.#packets = packets;
    this.#beginPacket(packets, 0);
    return packets;
  }

  #endPacket(): void {
    const packets = this.#packets;
    const start = this.#packet + HEADER_BYTES;
    if (packets === undefined || this.#to <= start) return;
    FRAMING.header(this.#to - start).copy(packets, this.#packet);
    this.#hash?.update(packets.subarray(start, this.#to));
    this.#beginPacket(packets, this.#to);
  }

  /** Begins a packet, unless too little is left of the buffer. */
  #beginPacket(packets: Buffer, at: number): void {
    this.#packet = at;
    this.#to = at + HEADER_BYTES;
    if (at + MAX_PACKET_BYTES <= packets.length) return;
    this.#complete.push(packets.subarray(0, at));
    this.#packets = undefined;
  }
}
