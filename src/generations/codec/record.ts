import { hash } from 'node:crypto';
import { parseAs, type Shape } from '#base/shape';
import { ProtocolError } from '../errors.ts';

const CHECKSUM_BYTES = 32;
const VERSION = 1;

export interface SealedRecord {
  readonly bytes: Buffer;
  /** SHA-256 of what precedes it in the record, in hexadecimal. */
  readonly checksum: string;
}

export interface OpenedRecord<T> {
  readonly fields: T;
  readonly payload: Buffer;
  readonly checksum: string;
}

/**
 * Encodes a record: a line with its kind and version, a line of JSON, the payload, and the SHA-256
 * of these.
 */
export function sealRecord(kind: string, fields: object, payload: Buffer = Buffer.alloc(0)): SealedRecord {
  const head = Buffer.from(`gitaly-ts ${kind} ${VERSION}\n${JSON.stringify(fields)}\n`);
  const content = Buffer.concat([head, payload]);
  const checksum = hash('sha256', content);
  return { bytes: Buffer.concat([content, Buffer.from(checksum, 'hex')]), checksum };
}

/** Decodes a record. @throws {ProtocolError} `damaged` if it is not as it was sealed. */
export function openRecord<T>(kind: string, shape: Shape<T>, bytes: Buffer): OpenedRecord<T> {
  const content = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  const checksum = bytes.subarray(content.length).toString('hex');
  const first = content.indexOf('\n');
  const second = content.indexOf('\n', first + 1);
  if (hash('sha256', content) !== checksum) throw damaged(kind, 'the checksum is wrong');
  if (first < 0 || second < 0) throw damaged(kind, 'a line is missing');
  const title = content.toString('latin1', 0, first);
  if (title !== `gitaly-ts ${kind} ${VERSION}`)
    throw damaged(kind, `it begins with ${JSON.stringify(title)}`);
  const fields = parseAs(shape, content.toString('utf8', first + 1, second));
  if (fields === undefined) throw damaged(kind, 'a field is missing or wrong');
  return { fields, payload: content.subarray(second + 1), checksum };
}

function damaged(kind: string, reason: string): ProtocolError {
  return new ProtocolError('damaged', `a record of the kind ${kind} is damaged: ${reason}`);
}
