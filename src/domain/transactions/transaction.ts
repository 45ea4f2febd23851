import { parseWithExactIntegers } from '#base/exact-integers';
import { GitalyError } from '#base/gitaly-error';
import { JsonFields } from '#base/json-fields';

/** Vote of a cluster that a change has to take part in, as the request's metadata name it. */
export interface Transaction {
  readonly id: bigint;
  /** Name under which this server votes. */
  readonly node: string;
  /** True on exactly one node. Only this node checks access and runs custom hooks. */
  readonly primary: boolean;
  /**
   * Reverse channel to the counter of the votes; 0 when the request came over a connection without
   * one.
   */
  readonly backchannelId: number;
  /** True if the server waits for its turn before it locks references. Praefect of ours only. */
  readonly isOrdered?: boolean;
  /**
   * True if the reference that the request names is locked in the order of writes. The server waits
   * before it locks others. Praefect of ours only.
   */
  readonly isEntered?: boolean;
  /** True if the counter reads all votes on one stream. Praefect of ours only. */
  readonly hasVoteStream?: boolean;
}

/**
 * Reads the value of `gitaly-reference-transaction`: base64 of `{"id", "node", "primary"}`. The
 * reverse channel is the one of the connection the request came over; a number in the value does
 * not count.
 *
 * @returns `undefined` without a value: nothing is voted on.
 * @throws {GitalyError} INTERNAL when the value is malformed. To go on without voting would let the
 *   nodes of a cluster drift apart.
 */
export function parseTransaction(
  value: string | undefined,
  backchannelId: number | undefined,
): Transaction | undefined {
  if (value === undefined) return undefined;
  return transactionFromJson(decoded(value), backchannelId ?? 0);
}

function decoded(value: string): unknown {
  try {
    return parseWithExactIntegers(Buffer.from(value, 'base64').toString());
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(cause?: unknown): GitalyError {
  return new GitalyError('INTERNAL', 'malformed transaction', { cause });
}

/** Ids have 64 bits. */
const MAX_ID = 2n ** 64n - 1n;

function idFrom(value: unknown): bigint {
  const id = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof id !== 'bigint' || id < 0n || id > MAX_ID) throw malformed();
  return id;
}

/** Parses the JSON form. @throws {GitalyError} when it is no object with an id that is a number. */
export function transactionFromJson(json: unknown, backchannelId?: number): Transaction {
  const fields = JsonFields.of(json);
  if (fields === undefined) throw malformed();
  const id = fields.has('id') ? idFrom(fields.value('id')) : 0n;
  const node = fields.has('node') ? fields.text('node') : '';
  if (node === undefined) throw malformed();
  return {
    id,
    node,
    primary: fields.flag('primary') === true,
    backchannelId: backchannelId ?? fields.number('backchannel_id') ?? 0,
    ...(fields.flag('ordered') === true && { isOrdered: true }),
    ...(fields.flag('entered') === true && { isEntered: true }),
    ...(fields.flag('vote_stream') === true && { hasVoteStream: true }),
  };
}
