import { PacketParser } from '#base/pkt-line/packet-parser';

/** Packets of a request that are read: git accepts fewer. @see git: builtin/upload-archive.c, MAX_ARGS. */
const MAX_PACKETS = 64;
const ARGUMENT = 'argument ';
/** Options whose value is the next argument. @see git: archive.c, parse_archive_args. */
const WITH_VALUE = new Set(['--format', '--prefix', '--mtime', '--add-file', '--add-virtual-file']);

/** Finds out which tree a client of `git upload-archive` requests, from a copy of its bytes. */
export class ArchiveTree {
  readonly #packets = new PacketParser();
  readonly #arguments: string[] = [];
  #isOver = false;

  /** Takes the next bytes of the client. */
  push(chunk: Uint8Array): void {
    if (this.#isOver) return;
    for (const packet of this.#packets.push(chunk)) {
      this.#isOver ||= typeof packet === 'string' || this.#arguments.length >= MAX_PACKETS;
      if (this.#isOver || typeof packet === 'string') return;
      const text = packet.toString();
      if (text.startsWith(ARGUMENT)) this.#arguments.push(text.slice(ARGUMENT.length).replace(/\n$/, ''));
    }
  }

  /** The tree-ish as the client has named it; `undefined` if it has named none. */
  get name(): string | undefined {
    return this.#arguments.find(
      (argument, index) => !argument.startsWith('-') && !WITH_VALUE.has(this.#arguments[index - 1] ?? ''),
    );
  }
}
