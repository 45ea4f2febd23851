import { hash } from 'node:crypto';
import { integer, list, maybe, number, object, pair, record, type Shape, text, where } from '#base/shape';
import { ProtocolError } from '../errors.ts';
import { type Owner, ownerShape } from './owner.ts';
import { openRecord, type SealedRecord, sealRecord } from './record.ts';

/** The state of a repository at a generation, without its references. */
export interface Checkpoint {
  readonly n: number;
  /** Checksum of generation n. */
  readonly checksum: string;
  /** Time of the last generation that changed something; absent in older checkpoints. */
  readonly timeMs?: number | undefined;
  readonly owner: Owner | undefined;
  readonly exists: boolean;
  readonly packs: readonly string[];
  /** Doomed packs, and when they were doomed. */
  readonly doomed: readonly (readonly [name: string, timeMs: number])[];
  /** Numbers of generations that are never deleted. */
  readonly kept: readonly number[];
  readonly barrier: number;
  readonly settings: Readonly<Record<string, string>>;
  /** Recent requests: correlation id and a text with hash, generation and time. */
  readonly requests: readonly (readonly [correlationId: string, facts: string])[];
  /** SHA-256 of the object with the references. */
  readonly references: string;
}

const shape: Shape<Checkpoint> = object({
  n: where(integer, (value) => value > 0),
  checksum: text,
  timeMs: maybe(number),
  owner: maybe(ownerShape),
  exists: (value): value is boolean => typeof value === 'boolean',
  packs: list(text),
  doomed: list(pair(text, number)),
  kept: list(integer),
  barrier: integer,
  settings: record(text),
  requests: list(pair(text, text)),
  references: text,
});

export function sealCheckpoint(checkpoint: Checkpoint): SealedRecord {
  return sealRecord('checkpoint', checkpoint);
}

/** @throws {ProtocolError} `damaged` */
export function openCheckpoint(bytes: Buffer): Checkpoint {
  return openRecord('checkpoint', shape, bytes).fields;
}

/**
 * Encodes references as git's packed-refs file, in the order of their names. Symbolic references
 * follow in comments, which git ignores.
 */
export function sealReferences(references: ReadonlyMap<string, string>): { bytes: Buffer; checksum: string } {
  const all = [...references].sort(([one], [other]) => (one < other ? -1 : 1));
  const isSymbolic = (value: string): boolean => value.startsWith('ref: ');
  const lines = ['# pack-refs with: sorted '];
  for (const [name, value] of all) if (!isSymbolic(value)) lines.push(`${value} ${name}`);
  for (const [name, value] of all) if (isSymbolic(value)) lines.push(`# ${value} ${name}`);
  const bytes = Buffer.from(`${lines.join('\n')}\n`, 'latin1');
  return { bytes, checksum: hash('sha256', bytes) };
}

/** Decodes references. @throws {ProtocolError} `damaged` if the checksum is another. */
export function openReferences(bytes: Buffer, checksum: string): Map<string, string> {
  if (hash('sha256', bytes) !== checksum)
    throw new ProtocolError('damaged', 'the references of a checkpoint are damaged');
  const references = new Map<string, string>();
  for (const line of bytes.toString('latin1').split('\n').slice(1)) {
    if (line === '') continue;
    const entry = line.startsWith('# ') ? line.slice(2) : line;
    const end = entry.indexOf(' ', entry.startsWith('ref: ') ? 5 : 0);
    references.set(entry.slice(end + 1), entry.slice(0, end));
  }
  return references;
}
