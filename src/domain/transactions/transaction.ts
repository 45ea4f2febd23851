/** A vote of a cluster that a change has to take part in, as the request's metadata names it. */
export interface Transaction {
  readonly id: bigint;
  /** The name under which this server votes. */
  readonly node: string;
  /** Exactly one node is; only there access is checked and custom hooks run. */
  readonly primary: boolean;
  /** Reverse channel to whoever counts the votes; 0 when the request came over a connection without one. */
  readonly backchannelId: number;
}

/**
 * Reads the value of `gitaly-reference-transaction`: base64 of `{"id", "node", "primary"}`. The reverse channel is the one of
 * the connection the request came over; a number in the value does not count.
 *
 * @returns `undefined` without a value: nothing is voted on.
 * @throws {Error} when the value is malformed. To go on without voting would let the nodes of a cluster drift apart.
 */
export function parseTransaction(value: string | undefined, backchannelId: number | undefined): Transaction | undefined {
  if (value === undefined) return undefined;
  return transactionFromJson(JSON.parse(Buffer.from(value, 'base64').toString()), backchannelId ?? 0);
}

/** @throws {Error} when it is no object with an id that is a number. */
export function transactionFromJson(json: unknown, backchannelId?: number): Transaction {
  if (typeof json !== 'object' || json === null) throw new Error('malformed transaction');
  const { id, node, primary, backchannel_id } = { id: 0, node: '', primary: false, backchannel_id: 0, ...json };
  if (typeof id !== 'number' || typeof node !== 'string') throw new Error('malformed transaction');
  return { id: BigInt(id), node, primary: primary === true, backchannelId: backchannelId ?? Number(backchannel_id) };
}

/** The JSON form in which hooks carry a transaction. */
export function transactionToJson({ id, node, primary, backchannelId }: Transaction): object {
  return { backchannel_id: backchannelId, id: Number(id), node, primary };
}
