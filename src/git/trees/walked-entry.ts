import { canonicalMode, type EntryKind, kindOf } from '../names/entry-kind.ts';
import { type Oid, type OidBytes, oidAt } from '../names/object-id.ts';
import type { TreeCursor } from '../objects/parse/tree-cursor.ts';

/** Shorter pieces are copied byte by byte, which is faster than a call. */
const SHORT_BYTES = 48;
const HEX = Buffer.from('0123456789abcdef');

/**
 * An entry of a walk. Its path and id are built on access; callers that write many entries into a
 * buffer write them directly.
 */
export class WalkedEntry {
  /** Mode as git prints it. */
  readonly mode: number;
  readonly kind: EntryKind;
  readonly #prefix: Buffer;
  readonly #data: Buffer;
  readonly #nameAt: number;
  readonly #nameEnd: number;
  readonly #oidBytes: OidBytes;

  /** Creates an entry. @param prefix the directory, with a trailing slash; empty for the root. */
  constructor(prefix: Buffer, { data, mode, nameAt, nameEnd, oidBytes }: TreeCursor) {
    this.mode = canonicalMode(mode);
    this.kind = kindOf(mode);
    this.#prefix = prefix;
    this.#data = data;
    this.#nameAt = nameAt;
    this.#nameEnd = nameEnd;
    this.#oidBytes = oidBytes;
  }

  /** Path as raw bytes, with the walk's prefix. */
  get path(): Buffer {
    const path = Buffer.allocUnsafe(this.pathLength);
    this.writePath(path, 0);
    return path;
  }

  get pathLength(): number {
    return this.#prefix.length + this.#nameEnd - this.#nameAt;
  }

  /** Hex. */
  get oid(): Oid {
    return oidAt(this.#data, this.#nameEnd + 1, this.#oidBytes);
  }

  get oidLength(): number {
    return 2 * this.#oidBytes;
  }

  /** Writes the path. Returns the next position. */
  writePath(out: Buffer, at: number): number {
    return copy(this.#data, this.#nameAt, this.#nameEnd, {
      out,
      at: copy(this.#prefix, 0, this.#prefix.length, { out, at }),
    });
  }

  /** Writes the id in hex. Returns the next position. */
  writeOid(out: Buffer, at: number): number {
    const start = this.#nameEnd + 1;
    let position = at;
    for (let index = start; index < start + this.#oidBytes; index++) {
      const byte = this.#data[index] ?? 0;
      out[position++] = HEX[byte >> 4] ?? 0;
      out[position++] = HEX[byte & 0x0f] ?? 0;
    }
    return position;
  }
}

function copy(
  from: Buffer,
  start: number,
  end: number,
  { out, at }: { readonly out: Buffer; readonly at: number },
): number {
  if (end - start > SHORT_BYTES) return at + from.copy(out, at, start, end);
  let position = at;
  for (let index = start; index < end; index++) out[position++] = from[index] ?? 0;
  return position;
}
