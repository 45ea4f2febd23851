import { ByteSource } from './byte-source.ts';
import { BLOCK_BYTES, checksumOf, paddingOf, type TarEntryType } from './tar-format.ts';

/** The archive is damaged, or of a kind that is not read here. */
export class TarFormatError extends Error {
  override readonly name = 'TarFormatError';
}

export interface TarEntry {
  /** Bytes of the path as they are in the archive: unchecked. */
  readonly name: Buffer;
  readonly type: TarEntryType;
  /** Permission bits with those for set-user-id, set-group-id and sticky. */
  readonly mode: number;
  /** Bytes of the content. */
  readonly size: number;
  /** Time of the last change, in whole seconds since 1970. */
  readonly mtime: number;
  /** Bytes of the target of a link; empty for all others. */
  readonly linkName: Buffer;
  /** The content; it must be read, or is skipped, before the next entry. */
  readonly content: AsyncIterable<Buffer>;
}

/** The attributes of a pax header that change an entry. */
type PaxAttributes = { -readonly [A in 'name' | 'linkName' | 'size' | 'mtime']?: TarEntry[A] };

/** Longest header of a long name or of attributes. */
const MAX_EXTENSION_BYTES = 1024 * 1024;
const TYPES: Readonly<Record<string, TarEntryType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
};

/** Attributes of an entry from the headers before it. */
interface Extensions {
  name?: Buffer | undefined;
  linkName?: Buffer | undefined;
  size?: number | undefined;
  mtime?: number | undefined;
}

/**
 * Yields the entries of a tar archive (ustar, pax, GNU) as its bytes arrive. Ends at the end marker
 * or at the end of the bytes; what follows is read and dropped. Holds at most 1 MiB in addition to
 * the chunks of the source.
 *
 * @throws {TarFormatError} for a damaged or truncated archive.
 */
export async function* readTar(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void> {
  await using source = new ByteSource(bytes);
  let extensions: Extensions = {};
  for (;;) {
    const header = await source.take(BLOCK_BYTES);
    if (header === undefined && Object.keys(extensions).length === 0) return;
    if (header?.length !== BLOCK_BYTES) throw new TarFormatError('unexpected EOF');
    if (header.every((byte) => byte === 0)) {
      await source.drain();
      return;
    }
    const flag = checkedType(header);
    const size = numberAt(header, 124, 12);
    if ('xgLK'.includes(flag)) {
      const data = await extensionData(source, size);
      if (flag === 'x') extensions = { ...extensions, ...parsePax(data) };
      else if (flag === 'L') extensions.name = untilNul(data);
      else if (flag === 'K') extensions.linkName = untilNul(data);
      continue;
    }
    const content = new Content(source, extensions.size ?? size);
    yield entryOf(header, flag, extensions, content);
    extensions = {};
    await content.skip();
  }
}

function checkedType(header: Buffer): string {
  const sum = numberAt(header, 148, 8);
  if (sum !== checksumOf(header)) throw new TarFormatError('invalid tar header');
  return header.toString('latin1', 156, 157);
}

function entryOf(header: Buffer, flag: string, extensions: Extensions, content: Content): TarEntry {
  const type = TYPES[flag] ?? 'other';
  const name = extensions.name ?? nameOf(header);
  return {
    name,
    // In the oldest format a directory is a file whose name ends with a slash.
    type: type === 'file' && name.at(-1) === 0x2f ? 'directory' : type,
    mode: numberAt(header, 100, 8) & 0o7777,
    size: content.size,
    mtime: extensions.mtime ?? mtimeOf(header),
    linkName: extensions.linkName ?? untilNul(header.subarray(157, 257)),
    content,
  };
}

/** Returns the time of the last change; 0 where it is damaged, which harms nothing else. */
function mtimeOf(header: Buffer): number {
  const text = untilNul(header.subarray(136, 148)).toString('latin1').trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : 0;
}

function nameOf(header: Buffer): Buffer {
  const name = untilNul(header.subarray(0, 100));
  // GNU archives have other fields in place of the prefix.
  const isUstar = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? untilNul(header.subarray(345, 500)) : Buffer.alloc(0);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}

async function extensionData(source: ByteSource, size: number): Promise<Buffer> {
  if (size > MAX_EXTENSION_BYTES) throw new TarFormatError('header too long');
  const padded = size + paddingOf(size);
  const data = await source.take(padded);
  if (data?.length !== padded) throw new TarFormatError('unexpected EOF');
  return data.subarray(0, size);
}

/** Parses octal digits, or the big-endian binary form of GNU for large numbers. */
function numberAt(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length);
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    if (!Number.isSafeInteger(value)) throw new TarFormatError('invalid tar header');
    return value;
  }
  const text = untilNul(field).toString('latin1').trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw new TarFormatError('invalid tar header');
  return Number.parseInt(text, 8);
}

function untilNul(field: Buffer): Buffer {
  const end = field.indexOf(0);
  return end === -1 ? field : field.subarray(0, end);
}

/** The bytes of one entry, read once. */
class Content implements AsyncIterable<Buffer> {
  readonly size: number;
  readonly #source: ByteSource;
  #left: number;

  constructor(source: ByteSource, size: number) {
    this.#source = source;
    this.size = size;
    this.#left = size;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const piece = await this.#source.takeSome(this.#left);
      if (piece === undefined) throw new TarFormatError('unexpected EOF');
      this.#left -= piece.length;
      yield piece;
    }
  }

  /** Drops unread bytes and the padding. */
  async skip(): Promise<void> {
    for await (const _piece of this);
    const padding = paddingOf(this.size);
    if (padding > 0 && (await this.#source.take(padding))?.length !== padding)
      throw new TarFormatError('unexpected EOF');
  }
}

/** Parses the records `<length> <key>=<value>\n` of a pax header; damaged ones end it. */
export function parsePax(data: Buffer): PaxAttributes {
  const attributes: PaxAttributes = {};
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = Number(data.toString('latin1', at, space === -1 ? at : space));
    const equals = data.indexOf(0x3d, space);
    const end = at + length;
    if (!Number.isInteger(length) || length <= 0 || end > data.length || equals === -1 || equals >= end)
      break;
    const value = data.subarray(equals + 1, end - 1);
    const key = data.toString('latin1', space + 1, equals);
    if (key === 'path') attributes.name = value;
    else if (key === 'linkpath') attributes.linkName = value;
    else if (key === 'size' && /^\d{1,15}$/.test(value.toString('latin1')))
      attributes.size = Number(value.toString('latin1'));
    else if (key === 'mtime' && /^\d{1,11}(?:\.\d*)?$/.test(value.toString('latin1')))
      attributes.mtime = Math.floor(Number(value.toString('latin1')));
    at = end;
  }
  return attributes;
}
