import { integer, list, maybe, number, object, oneOf, record, type Shape, text, where } from '#base/shape';
import { type Owner, ownerShape } from './owner.ts';
import { openRecord, type SealedRecord, sealRecord } from './record.ts';

/** A changed reference. Names and symbolic values are bytes, one per character (latin1). */
export interface Change {
  readonly name: string;
  /** Object id, or `ref: ` and a name; absent for a reference that did not exist. */
  readonly old?: string | undefined;
  /** Absent for a deletion. */
  readonly new?: string | undefined;
}

/** A call whose changes are in a generation: a repeated call gets the first response. */
export interface RequestFacts {
  readonly correlationId: string;
  /** Hash of the request: another request under the same id is refused. */
  readonly hash: string;
  readonly principal: string;
}

/** `erased`: nothing of a removed repository is left, not even for forks and earlier states. */
export type GenerationKind =
  | 'create'
  | 'takeover'
  | 'write'
  | 'maintenance'
  | 'doomed'
  | 'removed'
  | 'erased';

/** A change of the state of a repository, the n-th of its chain. */
export interface Generation {
  readonly n: number;
  /** Checksum of generation n-1; empty for the first. */
  readonly previous: string;
  readonly owner: Owner;
  readonly nonce: string;
  readonly kind: GenerationKind;
  /** Number of the generation whose state it was computed from. */
  readonly head: number;
  readonly timeMs: number;
  readonly changes: readonly Change[];
  /** Object with further changes, and its checksum, if they are too large for the record. */
  readonly changesIn?: { readonly key: string; readonly checksum: string } | undefined;
  readonly packsAdded: readonly string[];
  readonly packsRemoved: readonly string[];
  /** Packs that the collector is about to delete: no later generation may name them. */
  readonly doomed: readonly string[];
  /** Changed settings: `config`, `hooks`, `alternates` and similar; an empty text removes one. */
  readonly settings: Readonly<Record<string, string>>;
  readonly requests: readonly RequestFacts[];
}

/** A decoded generation, with its checksum and its inline pack, which may be empty. */
export interface ReadGeneration {
  readonly generation: Generation;
  readonly checksum: string;
  readonly inline: Buffer;
}

/** A generation as it is sent. A repetition sends the same bytes. */
export interface SealedGeneration extends SealedRecord, ReadGeneration {}

const KINDS = oneOf('create', 'takeover', 'write', 'maintenance', 'doomed', 'removed', 'erased');
const positive = where(integer, (value) => value > 0);

const change: Shape<Change> = object({ name: text, old: maybe(text), new: maybe(text) });
const shape: Shape<Generation> = object({
  n: positive,
  previous: text,
  owner: ownerShape,
  nonce: text,
  kind: KINDS,
  head: integer,
  timeMs: number,
  changes: list(change),
  changesIn: maybe(object({ key: text, checksum: text })),
  packsAdded: list(text),
  packsRemoved: list(text),
  doomed: list(text),
  settings: record(text),
  requests: list(object({ correlationId: text, hash: text, principal: text })),
});
const changesShape: Shape<{ readonly changes: readonly Change[] }> = object({ changes: list(change) });

export function sealGeneration(generation: Generation, inline: Buffer = Buffer.alloc(0)): SealedGeneration {
  return { generation, inline, ...sealRecord('generation', generation, inline) };
}

/** @throws {ProtocolError} `damaged` */
export function openGeneration(bytes: Buffer): ReadGeneration {
  const { fields, payload, checksum } = openRecord('generation', shape, bytes);
  return { generation: fields, checksum, inline: payload };
}

/** Encodes changes that are too large for a generation. */
export function sealChanges(changes: readonly Change[]): SealedRecord {
  return sealRecord('changes', { changes });
}

/** @throws {ProtocolError} `damaged` */
export function openChanges(bytes: Buffer): { changes: readonly Change[]; checksum: string } {
  const { fields, checksum } = openRecord('changes', changesShape, bytes);
  return { changes: fields.changes, checksum };
}
