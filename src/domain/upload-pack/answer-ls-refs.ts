import type { Writable } from 'node:stream';
import { writeChunk } from '#base/copy-stream';
import { messageOf } from '#base/gitaly-error';
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

/** Bytes that are handed to the transport at once. */
const PIECE_BYTES = 256 * 1024;

/**
 * The bytes that `git upload-pack` would answer with, in pieces that must not be changed; `undefined` where that takes git, also to say
 * what is wrong with a repository.
 *
 * @throws {GitalyError} of an abort.
 */
export async function lsRefsAnswer(
  repository: Repository,
  { objectFormat, ...query }: LsRefsRequest,
  options: LsRefsOptions,
): Promise<Buffer[] | undefined> {
  return await advertisedPackets(repository, { service: 'upload-pack', ...options }, (settings) =>
    objectFormat === settings.objectFormat ? { ...query, unborn: query.unborn && settings.allowsUnborn } : undefined,
  );
}

/** Writes pieces as fast as the client takes them; small ones are put together. @throws {ClientGoneError} */
export async function sendPieces(pieces: readonly Buffer[], destination: Writable): Promise<void> {
  try {
    await writePieces(pieces, destination);
  } catch (error) {
    throw new ClientGoneError(messageOf(error), { cause: error });
  }
}

async function writePieces(pieces: readonly Buffer[], destination: Writable): Promise<void> {
  let small: Buffer[] = [];
  let smallBytes = 0;
  const flush = async (): Promise<void> => {
    if (smallBytes > 0) await writeChunk(destination, Buffer.concat(small, smallBytes));
    small = [];
    smallBytes = 0;
  };
  for (const piece of pieces) {
    if (smallBytes + piece.length <= PIECE_BYTES) {
      small.push(piece);
      smallBytes += piece.length;
      continue;
    }
    await flush();
    for (let start = 0; start < piece.length; start += PIECE_BYTES) {
      await writeChunk(destination, piece.subarray(start, start + PIECE_BYTES));
    }
  }
  await flush();
}
