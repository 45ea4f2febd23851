import type { Writable } from 'node:stream';
import { isError } from '#base/is-error';
import { FLUSH_PACKET, packetHeader } from '#base/pkt-line/packet';
import { BAND, bandPacket } from '#base/pkt-line/side-band';
import { writeChunk } from '#base/streams/copy-stream';
import { ClientGoneError } from '../git-service/service-streams.ts';

/** git reads the output of hooks in pieces of this size, and sends each as a packet. */
const PIECE_BYTES = 128;
/** A silent hook is covered by an empty packet after this time. @see git: receive.keepAlive */
const KEEP_ALIVE_MS = 5_000;
const KEEP_ALIVE = Buffer.from('0005\x01', 'latin1');
/** Longer messages are cut. @see git: report_message */
const MAX_MESSAGE_BYTES = 4095;

/** The packets that a client gets during a push, as `git receive-pack` writes them. */
export class PushBands {
  readonly #stdout: Writable;
  #lastWriteAt = 0;

  constructor(stdout: Writable) {
    this.#stdout = stdout;
  }

  /** Sends the output of git or of a hook. */
  async output(bytes: Uint8Array): Promise<void> {
    const packets: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += PIECE_BYTES)
      packets.push(bandPacket(BAND.stderr, bytes.subarray(at, at + PIECE_BYTES)));
    if (packets.length > 0) await this.#write(Buffer.concat(packets));
  }

  /** Sends `error: <message>`. */
  async error(message: Uint8Array): Promise<void> {
    const text = Buffer.concat([Buffer.from('error: '), message]).subarray(0, MAX_MESSAGE_BYTES);
    await this.#write(bandPacket(BAND.stderr, Buffer.concat([text, Buffer.from('\n')])));
  }

  /** Sends the report, and the end if nothing follows it. */
  async report(lines: readonly Buffer[], isEnd: boolean): Promise<void> {
    const packets = lines.flatMap((line) => [packetHeader(line.length), line]);
    const report =
      lines.length === 0 ? [] : [bandPacket(BAND.stdout, Buffer.concat([...packets, FLUSH_PACKET]))];
    const all = Buffer.concat([...report, ...(isEnd ? [FLUSH_PACKET] : [])]);
    if (all.length > 0) await this.#write(all);
  }

  async end(): Promise<void> {
    await this.#write(FLUSH_PACKET);
  }

  /** Waits for a hook, and shows the client that the connection is alive. */
  async whileAlive<T>(work: Promise<T>): Promise<T> {
    this.#lastWriteAt = performance.now();
    using _timer = setInterval(() => {
      if (performance.now() - this.#lastWriteAt < KEEP_ALIVE_MS) return;
      void this.#write(KEEP_ALIVE).catch(() => {}); // the next packet reports it
    }, KEEP_ALIVE_MS);
    return await work;
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#lastWriteAt = performance.now();
    try {
      await writeChunk(this.#stdout, bytes);
    } catch (cause) {
      throw new ClientGoneError(isError(cause) ? cause.message : String(cause), { cause });
    }
  }
}
