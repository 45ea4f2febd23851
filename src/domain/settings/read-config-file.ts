import { type FileHandle, open } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import type { Repository } from '#storage/repository';

/**
 * Yields the content of a repository's config file, unchanged.
 *
 * @param pieceBytes size of the pieces; the last one may be smaller.
 * @throws {GitalyError} NOT_FOUND `opening gitconfig: open <path>: no such file or directory`.
 */
export async function* readConfigFile(repository: Repository, pieceBytes: number): AsyncGenerator<Buffer> {
  await using file = await openConfig(`${repository.path}/config`);
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(pieceBytes), 0, pieceBytes);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function openConfig(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    const code = systemErrorCode(error) === 'ENOENT' ? 'NOT_FOUND' : 'INTERNAL';
    const text = `opening gitconfig: open ${path}: ${systemErrorText(error)}`;
    throw new GitalyError(code, text, { cause: error });
  }
}
