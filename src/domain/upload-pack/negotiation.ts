import type { Packet } from '#base/pkt-line/packet';
import { PacketParser } from '#base/pkt-line/packet-parser';

/** Statistics of a client's requests to upload-pack, counted from its packets. */
export interface NegotiationStatistics {
  /** Length of the data of all packets, without a final line feed. */
  readonly payloadBytes: number;
  readonly packets: number;
  /** Capabilities of the first `want` (protocol v0 and v1). */
  readonly capabilities: readonly string[];
  readonly wants: number;
  readonly haves: number;
  readonly shallows: number;
  /**
   * The complete line: `deepen 1`, `deepen-since 5`, `deepen-not main`; the last one when there are
   * several.
   */
  readonly deepen: string;
  readonly filter: string;
  /** Command of protocol v2: `ls-refs`, `fetch`; the last one. */
  readonly command: string;
  readonly userAgent: string;
}

/**
 * Reads a copy of the client's data during a negotiation. It counts until the packet `done`, which
 * is not counted, or until an invalid packet; after that the values do not change.
 */
export class Negotiation {
  readonly #packets = new PacketParser();
  #isOver = false;
  #isMalformed = false;
  #payloadBytes = 0;
  #packetCount = 0;
  #capabilities: string[] | undefined;
  #wants = 0;
  #haves = 0;
  #shallows = 0;
  #deepen = '';
  #filter = '';
  #command = '';
  #userAgent = '';

  /**
   * True if all packets up to now were valid. The statistics of other negotiations enter no metric.
   */
  get isWellFormed(): boolean {
    if (this.#isOver) return !this.#isMalformed;
    return this.#packets.isReadable && this.#packets.isWhole;
  }

  get statistics(): NegotiationStatistics {
    return {
      payloadBytes: this.#payloadBytes,
      packets: this.#packetCount,
      capabilities: this.#capabilities ?? [],
      wants: this.#wants,
      haves: this.#haves,
      shallows: this.#shallows,
      deepen: this.#deepen,
      filter: this.#filter,
      command: this.#command,
      userAgent: this.#userAgent,
    };
  }

  /** Takes the next bytes. Never throws. */
  push(chunk: Uint8Array): void {
    if (this.#isOver) return;
    for (const packet of this.#packets.push(chunk)) {
      this.#read(packet);
      if (this.#isOver) return;
      this.#packetCount++;
    }
  }

  #read(packet: Packet): void {
    if (typeof packet === 'string') return;
    const end = packet.at(-1) === 0x0a ? -1 : packet.length;
    const line = packet.subarray(0, end);
    this.#payloadBytes += line.length;
    const text = line.toString();
    const words = text.split(' ');
    const [keyword = ''] = words;
    if (keyword.startsWith('command=')) this.#command = keyword.slice('command='.length);
    else if (keyword.startsWith('agent=')) this.#userAgent = keyword.slice('agent='.length);
    else if (keyword === 'done') this.#isOver = true;
    else if (keyword === 'want') this.#readWant(words);
    else if (this.#isCounted(keyword)) this.#readPair(keyword, words, text);
  }

  #isCounted(keyword: string): boolean {
    return ['have', 'shallow', 'deepen', 'deepen-since', 'deepen-not', 'filter'].includes(keyword);
  }

  #readWant(words: readonly string[]): void {
    const capabilities = words.slice(2);
    if (words.length < 2 || (capabilities.length > 0 && this.#capabilities !== undefined)) {
      this.#giveUp();
      return;
    }
    this.#wants++;
    if (capabilities.length === 0) return;
    this.#capabilities = capabilities;
    const agent = capabilities.find((capability) => capability.startsWith('agent='));
    if (agent !== undefined) this.#userAgent = agent.slice('agent='.length);
  }

  #readPair(keyword: string, words: readonly string[], text: string): void {
    if (words.length !== 2) this.#giveUp();
    else if (keyword === 'have') this.#haves++;
    else if (keyword === 'shallow') this.#shallows++;
    else if (keyword === 'filter') this.#filter = words[1] ?? '';
    else this.#deepen = text;
  }

  #giveUp(): void {
    this.#isMalformed = true;
    this.#isOver = true;
  }
}
