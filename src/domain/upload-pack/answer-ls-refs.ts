import type { Writable } from 'node:stream';
import { messageOf } from '#base/gitaly-error';
import { writeChunk } from '#base/streams/copy-stream';
import { evenPieces } from '#base/streams/even-pieces';
import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import { advertisedPackets } from '../git-service/advertised-packets.ts';
import { ClientGoneError } from '../git-service/service-streams.ts';
import type { LsRefsRequest } from './ls-refs-request.ts';

export interface LsRefsOptions {
  /** Settings of the request. */
  readonly config: readonly ConfigPair[];
  readonly signal: AbortSignal;
}

/** Bytes that are passed to the transport at once. */
const PIECE_BYTES = 256 * 1024;

/**
 * Returns the bytes of `git upload-pack`'s answer, in pieces that must not be changed; `undefined`
 * where only git can answer, including errors of a damaged repository.
 *
 * @throws {GitalyError} of an abort.
 */
export async function lsRefsAnswer(
  repository: Repository,
  { objectFormat, ...query }: LsRefsRequest,
  options: LsRefsOptions,
): Promise<Buffer[] | undefined> {
  return await advertisedPackets(repository, { service: 'upload-pack', ...options }, (settings) =>
    objectFormat === settings.objectFormat
      ? { ...query, unborn: query.unborn && settings.allowsUnborn }
      : undefined,
  );
}

/** Writes pieces at the client's speed; small ones are joined. @throws {ClientGoneError} */
export async function sendPieces(pieces: readonly Buffer[], destination: Writable): Promise<void> {
  try {
    for (const piece of evenPieces(pieces, PIECE_BYTES)) await writeChunk(destination, piece);
  } catch (error) {
    throw new ClientGoneError(messageOf(error), { cause: error });
  }
}
