import { BLOCK_BYTES, checksumOf, paddingOf } from './tar-format.ts';

/** The facts that an archive has about a file, a directory or a symbolic link. */
export interface TarHeader {
  /** Bytes of the path; the path of a directory ends with a slash. */
  readonly name: Uint8Array;
  readonly type: 'file' | 'directory' | 'symlink';
  /** Permission bits. */
  readonly mode: number;
  /** Target of a symbolic link. */
  readonly linkName?: Uint8Array;
  /** Bytes of the content; 0 for all but files. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
}

const MAX_NAME_BYTES = 100;
/** Above this a size does not fit into eleven octal digits. */
const MAX_OCTAL = 0o77777777777;
const TYPES = { file: '0', symlink: '2', directory: '5', pax: 'x' } as const;
const NO_LINK = new Uint8Array();

/**
 * Returns the header blocks of an entry in the pax format: one block, with one more header before
 * it for a long name or a size of 8 GiB and more.
 */
export function tarHeader({ name, type, mode, linkName = NO_LINK, size, mtime }: TarHeader): Buffer {
  const records: Buffer[] = [];
  if (name.length > MAX_NAME_BYTES) records.push(paxRecord('path', name));
  if (linkName.length > MAX_NAME_BYTES) records.push(paxRecord('linkpath', linkName));
  if (size > MAX_OCTAL) records.push(paxRecord('size', Buffer.from(String(size))));
  const short = name.subarray(0, MAX_NAME_BYTES);
  const header = block(short, TYPES[type], mode, size > MAX_OCTAL ? 0 : size, mtime);
  if (linkName.length > 0) setLink(header, linkName);
  if (records.length === 0) return header;
  const pax = Buffer.concat(records);
  const paxHeader = block(Buffer.from('pax_header'), TYPES.pax, 0o644, pax.length, 0);
  return Buffer.concat([paxHeader, pax, Buffer.alloc(paddingOf(pax.length)), header]);
}

function setLink(header: Buffer, linkName: Uint8Array): void {
  header.set(linkName.subarray(0, MAX_NAME_BYTES), 157);
  setChecksum(header);
}

function setChecksum(header: Buffer): void {
  header.write(`${checksumOf(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

function block(name: Uint8Array, type: string, mode: number, size: number, mtime: number): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  header.set(name, 0);
  const octal = (value: number, at: number, digits: number): void => {
    header.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  };
  octal(mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(Math.min(Math.max(0, Math.floor(mtime)), MAX_OCTAL), 136, 11);
  header.write(type, 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  setChecksum(header);
  return header;
}

/** Returns `<length> <key>=<value>\n`; the length counts its own digits. */
function paxRecord(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
