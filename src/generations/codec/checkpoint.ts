import { integer, list, maybe, number, object, pair, record, type Shape, text, where } from '#base/shape';
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
