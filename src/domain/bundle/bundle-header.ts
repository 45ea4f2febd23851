import type { FileHandle } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { OID_DIGITS } from '#git/names/object-id';
import { HEAD } from '#git/names/ref-name';
import { isStoredName } from '#git/names/stored-name';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import type { SignalOption } from '../revisions/commit-id-of.ts';

/** A reference in the header of a bundle; the texts are views of it. */
export interface BundleReference {
  /** Digits of the object id. */
  readonly oid: Buffer;
  readonly name: Buffer;
}

const LINE_FEED = 0x0a;
const SPACE = 0x20;
const SLASH = 0x2f;
const PREREQUISITE = 0x2d;
const CAPABILITY = 0x40;
const ZERO = 0x30;
const NINE = 0x39;
const LOWER_A = 0x61;
const LOWER_F = 0x66;

/**
 * Size from which a header is long: of some 500 references. For fewer, git's own fetch is as fast.
 */
const LONG_HEADER_BYTES = 32 * 1024;
const VERSION_2 = '# v2 git bundle';
/** Capabilities and prerequisites that are parsed at once; a header of 64 MiB may have millions. */
const MAX_LINES_BEFORE = 1024;
/** References handled between two readings of the clock. */
const PIECE = 256;
/** Limit of a file name: longer components have no lock file, and git refuses them. */
const MAX_COMPONENT_BYTES = 255 - '.lock'.length;
/** Limit of a name; PATH_MAX is 4096. */
const MAX_NAME_BYTES = 2048;

/**
 * The header of a bundle, as git writes it. Only its bytes are kept; passes over them read the
 * references again.
 *
 * @see git: Documentation/gitformat-bundle
 */
export class BundleHeader {
  readonly #bytes: Buffer;
  /** Position of the first reference. */
  readonly #start: number;
  readonly objectFormat: ObjectFormatName;
  /** True if the bundle has all objects that its references need. */
  readonly isSelfContained: boolean;

  /** @param bytes all up to the empty line, with that. */
  private constructor(
    bytes: Buffer,
    start: number,
    objectFormat: ObjectFormatName,
    hasPrerequisite: boolean,
  ) {
    this.#bytes = bytes;
    this.#start = start;
    this.objectFormat = objectFormat;
    this.isSelfContained = !hasPrerequisite;
  }

  /** Reads a header from the start of a file, whose descriptor is at the pack afterwards. */
  static async read(file: FileHandle, headerBytes: number): Promise<BundleHeader | undefined> {
    const bytes = Buffer.allocUnsafe(headerBytes);
    for (let at = 0; at < headerBytes; ) {
      const { bytesRead } = await file.read(bytes, at, headerBytes - at, null);
      if (bytesRead === 0) return undefined;
      at += bytesRead;
    }
    return BundleHeader.parse(bytes);
  }

  /** Parses the lines before the references. @returns `undefined` if only git can read them. */
  static parse(bytes: Buffer): BundleHeader | undefined {
    let start = bytes.indexOf(LINE_FEED) + 1;
    const isVersion2 = bytes.toString('latin1', 0, start - 1) === VERSION_2;
    let objectFormat: ObjectFormatName = 'sha1';
    let hasPrerequisite = false;
    for (let lines = 0; bytes[start] === CAPABILITY || bytes[start] === PREREQUISITE; lines++) {
      if (lines === MAX_LINES_BEFORE) return undefined;
      const end = bytes.indexOf(LINE_FEED, start);
      if (end === -1) return undefined;
      if (bytes[start] === PREREQUISITE) hasPrerequisite = true;
      else {
        const [, format] = /^@object-format=(sha1|sha256)$/.exec(bytes.toString('latin1', start, end)) ?? [];
        if (format === undefined || isVersion2) return undefined;
        objectFormat = format === 'sha1' ? 'sha1' : 'sha256';
      }
      start = end + 1;
    }
    return new BundleHeader(bytes, start, objectFormat, hasPrerequisite);
  }

  /** The whole header, with the empty line at its end. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** The lines before the references. */
  get preface(): Buffer {
    return this.#bytes.subarray(0, this.#start);
  }

  /** True from some 500 references on: git reads a header byte by byte. */
  get isLong(): boolean {
    return this.#bytes.length - this.#start >= LONG_HEADER_BYTES;
  }

  /** Yields the references. @returns false at the first line that is not a reference. */
  *references(): Generator<BundleReference, boolean> {
    const bytes = this.#bytes;
    const digits = OID_DIGITS[this.objectFormat];
    for (let start = this.#start; bytes[start] !== LINE_FEED; ) {
      const end = bytes.indexOf(LINE_FEED, start);
      if (end < start + digits + 2 || bytes[start + digits] !== SPACE) return false;
      // git cuts off white space.
      if ((bytes[end - 1] ?? 0) <= SPACE || !isLowerHex(bytes.subarray(start, start + digits))) return false;
      yield {
        oid: bytes.subarray(start, start + digits),
        name: bytes.subarray(start + digits + 1, end),
      };
      start = end + 1;
    }
    return true;
  }

  /** Yields the references in pieces, with iterations of the event loop between them. */
  async *pieces({ signal }: SignalOption): AsyncGenerator<BundleReference[], boolean> {
    const slice = new LoopSlice();
    const references = this.references();
    for (;;) {
      const piece: BundleReference[] = [];
      let next = references.next();
      for (; next.done !== true; next = references.next()) {
        piece.push(next.value);
        if (piece.length === PIECE) break;
      }
      if (piece.length > 0) yield piece;
      if (next.done === true) return next.value;
      await slice.pause(signal);
    }
  }

  /** Reports whether all lines are references. */
  async isReadable(options: SignalOption): Promise<boolean> {
    const pieces = this.pieces(options);
    for (let next = await pieces.next(); ; next = await pieces.next())
      if (next.done === true) return next.value;
  }

  /**
   * Reports whether all references are such as git accepts for a new repository: valid names in the
   * order of names, none of which is a directory of another one. HEAD may be anywhere, once: who
   * passes over it does not pause.
   */
  async isPlain(options: SignalOption): Promise<boolean> {
    const above = new NamesAbove();
    let heads = 0;
    const pieces = this.pieces(options);
    let next = await pieces.next();
    for (; next.done !== true; next = await pieces.next())
      for (const { name } of next.value) {
        const isHead = name.equals(HEAD);
        if (isHead ? ++heads > 1 : !(isPlainName(name) && above.accepts(name))) return false;
      }
    return next.value;
  }
}

/** Returns the first lines of a header: git writes version 3 where it has to. */
export function bundleSignature(objectFormat: ObjectFormatName): Buffer {
  return Buffer.from(
    objectFormat === 'sha1' ? '# v2 git bundle\n' : `# v3 git bundle\n@object-format=${objectFormat}\n`,
  );
}

/** Returns the lines of references in a header. */
export function referenceLinesOf(
  references: readonly { readonly oid: string; readonly name: Buffer }[],
): Buffer {
  // Latin-1 keeps the bytes of names; one buffer is faster than one for each part of a line.
  const lines = references.map(({ oid, name }) => `${oid} ${name.toString('latin1')}\n`);
  return Buffer.from(lines.join(''), 'latin1');
}

/** Reports whether a reference is one below `refs/`. */
export function isBelowRefs({ name }: BundleReference): boolean {
  return !name.equals(HEAD);
}

/** Checks names that arrive in order: all prefixes of a name directly precede it. */
class NamesAbove {
  /** The last name, and the names before it that are its prefixes; the shortest first. */
  readonly #names: Buffer[] = [];

  /** Reports whether a name sorts after the last one and no kept name is a directory above it. */
  accepts(name: Buffer): boolean {
    const last = this.#names.at(-1);
    if (last !== undefined && last.compare(name) >= 0) return false;
    for (let above = this.#names.at(-1); above !== undefined; above = this.#names.at(-1)) {
      if (name.subarray(0, above.length).equals(above)) break;
      this.#names.pop();
    }
    if (this.#names.some(({ length }) => name[length] === SLASH)) return false;
    this.#names.push(name);
    return true;
  }
}

function isPlainName(name: Buffer): boolean {
  if (name.length > MAX_NAME_BYTES || !isStoredName(name, 0, name.length)) return false;
  let start = 0;
  for (let end = name.indexOf(SLASH); end !== -1; end = name.indexOf(SLASH, start)) {
    if (end - start > MAX_COMPONENT_BYTES) return false;
    start = end + 1;
  }
  return name.length - start <= MAX_COMPONENT_BYTES;
}

function isLowerHex(digits: Buffer): boolean {
  for (const byte of digits)
    if (!((byte >= ZERO && byte <= NINE) || (byte >= LOWER_A && byte <= LOWER_F))) return false;
  return true;
}
