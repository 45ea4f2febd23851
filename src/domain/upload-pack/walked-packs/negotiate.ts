import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { FallBackToGit } from '#git/command/in-process';
import { allLeadTo } from '#git/walk/choose-commits';
import type { Repository } from '#storage/repository';
import { existing, namedObjects, type WalkedRequest } from './walked-request.ts';

/** The answer to the commits that a client names. */
export interface Negotiated {
  /** Commits that both have. */
  readonly common: readonly string[];
  /** False if the client has to name more; `answer` is all of the response then. */
  readonly isReady: boolean;
  readonly answer: Buffer;
}

export const DELIMITER = Buffer.from('0001');
const NONE = Buffer.alloc(0);

/**
 * Acknowledges the commits of a client, as `git upload-pack` does in protocol v2: it sends a pack
 * as soon as each wanted commit leads to one that the client has.
 *
 * @throws {FallBackToGit} when only git knows; {GitalyError} of an abort.
 */
export async function negotiate(
  repository: Repository,
  { given, nodes, wants }: WalkedRequest,
  signal: AbortSignal,
): Promise<Negotiated> {
  const { commits, common } = await commonCommits(repository, given.haves, signal);
  // Without `have`, or after `done`, there is nothing to acknowledge.
  if (given.isDone || given.haves.length === 0) return { common: [...commits], isReady: true, answer: NONE };
  const wanted = await namedObjects(repository, wants, signal);
  const client = { wants: [...wanted.commits], haves: common.filter((oid) => commits.has(oid)) };
  const isReady = common.length > 0 && (await allLeadTo(nodes, client, signal));
  const lines = common.map((oid) => textPacket(`ACK ${oid}\n`));
  const answer = [textPacket('acknowledgments\n'), ...(lines.length > 0 ? lines : [textPacket('NAK\n')])];
  answer.push(...(isReady ? [textPacket('ready\n'), DELIMITER] : [FLUSH_PACKET]));
  return { common: [...commits], isReady, answer: Buffer.concat(answer) };
}

async function commonCommits(
  repository: Repository,
  haves: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly commits: ReadonlySet<string>; readonly common: readonly string[] }> {
  const common = await existing(repository, haves, signal);
  const { blobs, commits, trees } = await namedObjects(repository, common, signal);
  if (blobs.size + trees.size > 0) throw new FallBackToGit('the client has an object that is no commit');
  return { commits, common };
}
