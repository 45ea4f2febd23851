import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { FLUSH_PACKET, type Packet, textPacket } from '#base/pkt-line/packet';
import { PacketParser } from '#base/pkt-line/packet-parser';
import { PLAIN_FRAMING, writePackets } from '#base/pkt-line/write-packets';
import { MAX_LFS_FILE_POINTER_BYTES } from '#git/objects/parse/lfs-file-pointer';

/** Opens the content that replaces a file; `undefined` leaves the file as it is. */
export type Smudge = (file: Buffer) => Promise<AsyncIterable<Buffer> | undefined>;

export interface FilterStreams {
  readonly input: AsyncIterable<Uint8Array>;
  readonly output: Writable;
}

const SUCCESS = textPacket('status=success\n');
/** git then uses the file as it is, because the filter is not `required`. */
const ERROR = textPacket('status=error\n');

/**
 * Serves git's protocol for filters that run as long as git: answers each `smudge` with the new
 * content, until git ends its output. The content is passed on as it arrives.
 *
 * @throws {Error} when git does not speak version 2 of the protocol.
 * @see git: Documentation/gitattributes.txt, "Long Running Filter Process"
 */
export async function serveFilter({ input, output }: FilterStreams, smudge: Smudge): Promise<void> {
  const lists = new PacketLists(input);
  const welcome = await lists.texts();
  if (welcome?.[0] !== 'git-filter-client' || !welcome.includes('version=2'))
    throw new Error('git does not speak version 2 of the filter protocol');
  await write(output, [textPacket('git-filter-server\n'), textPacket('version=2\n'), FLUSH_PACKET]);
  await lists.texts();
  await write(output, [textPacket('capability=smudge\n'), FLUSH_PACKET]);
  for (let header = await lists.texts(); header !== undefined; header = await lists.texts()) {
    const file = await lists.content(MAX_LFS_FILE_POINTER_BYTES);
    const isSmudge = header.includes('command=smudge');
    await answer(output, file === undefined || !isSmudge ? undefined : await smudge(file));
  }
}

/** Sends the content; git drops it if the second status reports that it is incomplete. */
async function answer(output: Writable, content: AsyncIterable<Buffer> | undefined): Promise<void> {
  if (content === undefined) return await write(output, [ERROR, FLUSH_PACKET]);
  await write(output, [SUCCESS, FLUSH_PACKET]);
  let isComplete = true;
  try {
    for await (const chunk of content) await writeContent(output, chunk);
  } catch {
    if (output.destroyed) await finished(output);
    isComplete = false;
  }
  await write(output, isComplete ? [FLUSH_PACKET, FLUSH_PACKET] : [FLUSH_PACKET, ERROR, FLUSH_PACKET]);
}

function writeContent(output: Writable, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    writePackets(output, [chunk], PLAIN_FRAMING, (error) => (error ? reject(error) : resolve()));
  });
}

function write(output: Writable, packets: readonly Buffer[]): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(Buffer.concat(packets), (error) => (error ? reject(error) : resolve()));
  });
}

/** Lists of packets, each ending with a flush packet. */
class PacketLists {
  readonly #packets: AsyncIterator<Packet>;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#packets = packetsOf(input);
  }

  /** Returns the lines of a list; `undefined` at the end of the input. */
  async texts(): Promise<string[] | undefined> {
    const lines: string[] = [];
    for (;;) {
      const { done, value } = await this.#packets.next();
      if (done === true) return undefined;
      if (value === 'flush') return lines;
      lines.push(value.toString().replace(/\n$/, ''));
    }
  }

  /** Returns the bytes of a list; `undefined` if there are more than `maxBytes`. */
  async content(maxBytes: number): Promise<Buffer | undefined> {
    const pieces: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const { done, value } = await this.#packets.next();
      if (done === true || value === 'flush') break;
      if (typeof value === 'string') continue;
      bytes += value.length;
      if (bytes <= maxBytes) pieces.push(value);
    }
    return bytes <= maxBytes ? Buffer.concat(pieces) : undefined;
  }
}

async function* packetsOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Packet> {
  const parser = new PacketParser();
  for await (const chunk of input) {
    yield* parser.push(chunk);
    if (!parser.isReadable) throw new Error('git sent no packet');
  }
}
