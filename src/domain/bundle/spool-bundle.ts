import { open } from 'node:fs/promises';
import { noteBulkBytes } from '#base/bulk-memory';
import { GitalyError } from '#base/gitaly-error';
import type { Storage } from '#storage/repository-target';
import { createTempDirectory } from '#storage/temp-directories';

/**
 * The beginnings of a bundle (git: Documentation/gitformat-bundle). git accepts other files too: it
 * follows one with `gitdir: <path>` to any repository of the machine.
 */
const SIGNATURES = ['# v2 git bundle\n', '# v3 git bundle\n'];
const SIGNATURE_BYTES = 16;
/** Larger than any repository; a client that sends forever ends here. */
const MAX_BYTES = 2 ** 41;
const FILE_MODE = 0o600;

/** A file with the bytes that a client sent. Disposing removes it. */
export interface SpooledBundle extends AsyncDisposable {
  /** Absolute. */
  readonly path: string;
  /** False for bytes that git must not be given. */
  readonly isBundle: boolean;
}

/**
 * Writes a bundle from a client to a temporary file of a storage, because git reads it twice.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED above 2 TiB; errors of `pieces` and of the file system.
 */
export async function spoolBundle(
  storage: Storage,
  pieces: AsyncIterable<Uint8Array>,
): Promise<SpooledBundle> {
  const scratch = await createTempDirectory(storage, 'repo');
  try {
    const path = `${scratch.path}/repo.bundle`;
    const start = await write(path, pieces);
    const isBundle = SIGNATURES.includes(start.toString('latin1'));
    return { path, isBundle, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

/** Writes a new file. @returns its first 16 bytes. */
async function write(path: string, pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  await using file = await open(path, 'wx+', FILE_MODE);
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > MAX_BYTES) throw new GitalyError('RESOURCE_EXHAUSTED', 'bundle is too large');
    noteBulkBytes(piece.length);
    await file.writeFile(piece);
  }
  const { buffer, bytesRead } = await file.read(Buffer.alloc(SIGNATURE_BYTES), 0, SIGNATURE_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}
