import { open } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import type { Storage } from '#storage/repository-target';
import { createTempDirectory } from '#storage/temp-directories';
import { HeaderScan } from './header-scan.ts';

/** Larger than any repository; stops a client that sends forever. */
const MAX_BYTES = 2 ** 41;
const FILE_MODE = 0o600;

/** A file with the bytes that a client sent. Disposing removes it. */
export interface SpooledBundle extends AsyncDisposable {
  /** Absolute. */
  readonly path: string;
  /**
   * False for bytes that git must not be given: it accepts other files too, and follows one with
   * `gitdir: <path>` to any repository of the machine.
   */
  readonly isBundle: boolean;
  /** False if the bundle is cut off in its header. */
  readonly hasHeader: boolean;
  /** Size of the header, with the empty line at its end. */
  readonly headerBytes: number;
}

/**
 * Writes a bundle from a client to a temporary file of a storage, because git reads it twice.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED above 2 TiB, or 64 MiB of header; errors of `pieces` and
 *   of the file system.
 */
export async function spoolBundle(
  storage: Storage,
  pieces: AsyncIterable<Uint8Array>,
): Promise<SpooledBundle> {
  const scratch = await createTempDirectory(storage, 'repo');
  try {
    const path = `${scratch.path}/repo.bundle`;
    const { headerBytes, isBundle, isComplete } = await write(path, pieces);
    return {
      path,
      isBundle,
      hasHeader: isComplete,
      headerBytes,
      [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
    };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

/** Writes a new file. @returns its header. */
async function write(path: string, pieces: AsyncIterable<Uint8Array>): Promise<HeaderScan> {
  await using file = await open(path, 'wx', FILE_MODE);
  const header = new HeaderScan();
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > MAX_BYTES) throw new GitalyError('RESOURCE_EXHAUSTED', 'bundle is too large');
    header.add(piece);
    noteBulkBytes(piece.length);
    await file.writeFile(piece);
  }
  return header;
}
