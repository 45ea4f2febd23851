import { wrap } from '#base/gitaly-error';
import { headAttributes } from '#domain/diff/head-attributes';
import type { ConfigPair } from '#git/command/config';
import { GitExitError } from '#git/command/process/exit-error';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import type { Repository } from '#storage/repository';

/**
 * Yields the output of git in messages of at most 128 KiB. The buffers are those read from git, not
 * copies.
 *
 * @throws {GitalyError} INTERNAL `cmd: exit status 128`.
 */
export async function* outputMessages(
  repository: Repository,
  outputWith: (config: () => Promise<readonly ConfigPair[]>) => AsyncIterable<Buffer>,
  signal: AbortSignal,
): AsyncGenerator<{ data: Buffer }> {
  try {
    await using opened = new AsyncDisposableStack();
    const config = async () => opened.use(await headAttributes(repository, { signal })).config;
    for await (const chunk of outputWith(config)) yield* dataMessages(chunk);
  } catch (error) {
    throw wrap(error, 'cmd', 'INTERNAL', {
      metadata: error instanceof GitExitError ? { stderr: error.stderr } : {},
    });
  }
}

export function* dataMessages(bytes: Buffer): Generator<{ data: Buffer }> {
  for (let at = 0; at < bytes.length; at += MAX_CHUNK_BYTES)
    yield { data: bytes.subarray(at, at + MAX_CHUNK_BYTES) };
}
