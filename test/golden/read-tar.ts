import { createHash } from 'node:crypto';
import { bytesAsText } from './bytes-as-text.ts';
import type { Json, JsonObject } from './recorded-case.ts';

const BLOCK_BYTES = 512;
const TYPES: Readonly<Record<string, string>> = { '0': 'file', '\0': 'file', '2': 'symlink', '5': 'dir' };

/**
 * Returns the entries of a ustar/pax archive as the recordings list them: name, type, mode (octal
 * text), for files size and sha1, for links the target. Global pax headers are skipped; a `path` or
 * `linkpath` of a local one replaces the name that follows. Bytes that are not an archive are one
 * entry, in hex.
 */
export function readTar(tar: Buffer): Json[] {
  if (tar.length > 0 && tar.toString('latin1', 257, 262) !== 'ustar') return [tar.toString('hex')];
  const entries: JsonObject[] = [];
  let pax: Record<string, string> = {};
  for (let at = 0; at + BLOCK_BYTES <= tar.length && tar[at] !== 0; ) {
    const header = tar.subarray(at, at + BLOCK_BYTES);
    const size = Number.parseInt(field(header, 124, 12) || '0', 8);
    const data = tar.subarray(at + BLOCK_BYTES, at + BLOCK_BYTES + size);
    at += BLOCK_BYTES + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;

    const flag = header.toString('latin1', 156, 157);
    if (flag === 'g') continue;
    if (flag === 'x') {
      pax = paxRecords(data);
      continue;
    }
    const prefix = field(header, 345, 155);
    const name = pax.path ?? (prefix === '' ? field(header, 0, 100) : `${prefix}/${field(header, 0, 100)}`);
    const entry: JsonObject = {
      name,
      type: TYPES[flag] ?? flag,
      mode: `0o${Number.parseInt(field(header, 100, 8), 8).toString(8)}`,
    };
    if (entry.type === 'file')
      Object.assign(entry, { size, sha1: createHash('sha1').update(data).digest('hex') });
    if (entry.type === 'symlink') entry.link = pax.linkpath ?? field(header, 157, 100);
    entries.push(entry);
    pax = {};
  }
  return entries;
}

function field(header: Buffer, start: number, length: number): string {
  const end = header.indexOf(0, start);
  return bytesAsText(
    header.subarray(start, end === -1 || end > start + length ? start + length : end),
  ).trim();
}

/** Parses `<length> <key>=<value>\n` records. */
function paxRecords(data: Buffer): Record<string, string> {
  const records: Record<string, string> = {};
  for (let at = 0; at < data.length; ) {
    const length = Number.parseInt(data.toString('latin1', at, data.indexOf(' ', at)), 10);
    const record = bytesAsText(data.subarray(data.indexOf(' ', at) + 1, at + length - 1));
    records[record.slice(0, record.indexOf('='))] = record.slice(record.indexOf('=') + 1);
    at += length;
  }
  return records;
}

/** Returns the comment of the archive's global pax header; empty if there is none. */
export function readPaxComment(tar: Buffer): string {
  if (tar.toString('latin1', 156, 157) !== 'g') return '';
  const size = Number.parseInt(field(tar, 124, 12), 8);
  return paxRecords(tar.subarray(BLOCK_BYTES, BLOCK_BYTES + size)).comment ?? '';
}
