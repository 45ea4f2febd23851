import { statSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { writeChunk } from '#base/copy-stream';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/system-error';
import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import { ClientGoneError } from '../git-service/service-streams.ts';
import type { LsRefsRequest } from './ls-refs-request.ts';
import { lsRefsSettings } from './ls-refs-settings.ts';

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
  { config, signal }: LsRefsOptions,
): Promise<Buffer[] | undefined> {
  try {
    if (!isOurs(repository)) return undefined;
    const settings = lsRefsSettings(repository, config);
    if (settings === undefined || objectFormat !== settings.objectFormat) return undefined;
    const { hidden, allowsUnborn } = settings;
    return await repository.refs.advertise({ ...query, unborn: query.unborn && allowsUnborn, hidden }, { signal });
  } catch (error) {
    if (signal.aborted || !(error instanceof GitalyError || systemErrorCode(error) !== undefined)) throw error;
    return undefined;
  }
}

/** Whether a repository and its settings are of a kind whose references can be listed without git. Each question may still need it. */
export function isAnswerable(repository: Repository, config: readonly ConfigPair[]): boolean {
  try {
    return isOurs(repository) && lsRefsSettings(repository, config) !== undefined;
  } catch {
    return false; // git says what is wrong
  }
}

/** Git refuses repositories of other users. */
function isOurs({ path }: Repository): boolean {
  return statSync(path, { throwIfNoEntry: false })?.uid === process.geteuid?.();
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
