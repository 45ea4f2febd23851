import { type PacketSink, PacketSplitter } from '#base/pkt-line/packet-splitter';
import type { PushedReference } from './access-record.ts';
import { PacketLines } from './packet-lines.ts';

/** References of a push that are kept; all are counted. */
const MAX_REFERENCES = 100;
/** Two ids of SHA-256 and a name; longer names are cut. */
const MAX_COMMAND_BYTES = 512;
const MAX_REPORT_BYTES = 1024;
const COMMAND = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([^\0\n]+)/;
const REFUSED = /^ng ([^ \n]+) ([^\n]*)/;
const UNPACKED = /^unpack (?!ok\n?$)([^\n]*)/;
/** End of the messages for people that is kept. */
const MAX_MESSAGE_BYTES = 512;
/** Matches a line of progress (`Resolving deltas:  50% (1/2)`), and one that repeats the report. */
const OF_GIT = /^(?:[A-Za-z ]{1,40}: +\d|error: hook declined to update )/;
/** The bands of git's report and of messages, and the last one. @see git: sideband.h */
const REPORT_BAND = 1;
const MESSAGE_BAND = 2;
const LAST_BAND = 3;

/** Reads the commands of a push, and git's report of it. */
export class PushReader {
  readonly #references: { name: string; oldId: string; newId: string }[] = [];
  readonly #refused = new Map<string, string>();
  #count = 0;
  #unpackError: string | undefined;
  #areCommandsOver = false;
  readonly #commands = new PacketLines(MAX_COMMAND_BYTES, (packet) => this.#command(packet));
  readonly #report = new ReportPackets((line) => this.#line(line));

  input(chunk: Uint8Array): void {
    this.#commands.write(chunk);
  }

  /** Before the commands, the output is the advertisement. */
  output(chunk: Uint8Array): void {
    if (this.#areCommandsOver && this.#count > 0) this.#report.write(chunk);
  }

  /** Number of all references. */
  get count(): number {
    return this.#count;
  }

  /** The first references. */
  get references(): PushedReference[] {
    return this.#references.map((each) => {
      const reason = this.#refused.get(each.name);
      return { ...each, ...(reason !== undefined && { reason }) };
    });
  }

  /**
   * The reason of the first refusal, and what rules and hooks said about it; `undefined` if git
   * accepted the push.
   */
  get refusal(): string | undefined {
    const [first] = this.#refused.values();
    const reason = this.#unpackError ?? first;
    const message = this.#report.message;
    return reason === undefined || message === '' ? reason : `${reason}: ${message}`;
  }

  #command(packet: Buffer | undefined): boolean {
    if (packet === undefined) {
      this.#areCommandsOver = true;
      return false; // the pack follows
    }
    const [, oldId, newId, name] = COMMAND.exec(packet.toString()) ?? [];
    if (oldId === undefined || newId === undefined || name === undefined) return true;
    this.#count++;
    if (this.#references.length < MAX_REFERENCES) this.#references.push({ name, oldId, newId });
    return true;
  }

  #line(line: string): void {
    this.#unpackError ??= UNPACKED.exec(line)?.[1];
    const [, name, reason = ''] = REFUSED.exec(line) ?? [];
    if (name !== undefined && this.#refused.size < MAX_REFERENCES) this.#refused.set(name, reason);
  }
}

/**
 * Finds the lines of git's report: packets, which are in the packets of a band if the client wants
 * that. Another band has messages for people.
 */
class ReportPackets implements PacketSink {
  readonly #onLine: (line: string) => void;
  readonly #inBand: PacketLines;
  #splitter: PacketSplitter | undefined = new PacketSplitter(this);
  #band: number | undefined;
  #messages: Buffer = Buffer.alloc(0);

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
    this.#inBand = new PacketLines(MAX_REPORT_BYTES, (line) => {
      if (line !== undefined) onLine(line.toString());
      return true;
    });
  }

  write(chunk: Uint8Array): void {
    try {
      this.#splitter?.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    } catch {
      this.#splitter = undefined;
    }
  }

  /** The last messages of rules and hooks, in one line. */
  get message(): string {
    const lines = this.#messages.toString().split(/[\r\n]/);
    const said = lines.map((line) => line.trim()).filter((line) => line !== '' && !OF_GIT.test(line));
    return said.join(' ');
  }

  packet(): boolean {
    this.#band = undefined;
    return true;
  }

  payload(piece: Buffer): void {
    const isFirst = this.#band === undefined;
    this.#band ??= piece[0] ?? 0;
    const rest = isFirst && this.#band <= LAST_BAND ? piece.subarray(1) : piece;
    if (this.#band === REPORT_BAND) this.#inBand.write(rest);
    else if (this.#band === MESSAGE_BAND)
      this.#messages = Buffer.concat([this.#messages, rest]).subarray(-MAX_MESSAGE_BYTES);
    else if (this.#band > LAST_BAND && isFirst) this.#onLine(piece.toString('utf8', 0, MAX_REPORT_BYTES));
  }
}
