import { wrap } from '#base/gitaly-error';
import { checked } from '#domain/diff/diff-failure';
import { headAttributes } from '#domain/diff/head-attributes';
import type { ConfigPair } from '#git/command/config';
import { outputBytes } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import { mailsCommand } from '#git/diff/commands';
import { rangeDiffOutput } from '#git/diff/range-diff-output';
import { textOutput } from '#git/diff/text-output';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import type { Repository } from '#storage/repository';
import type { Handlers } from './dependencies.ts';
import { requireRanges } from './range-spec.ts';
import { requireSides } from './sides.ts';

/** Streams `git diff` of two commits as it is. */
export const rawDiff: Handlers['rawDiff'] = async function* (request, { signal }, deps) {
  const repository = deps.storages.open(request.repository);
  const sides = requireSides(request);

  yield* outputMessages(repository, (config) => textOutput(repository, sides, { signal, config }), signal);
};

/** Streams the commits between two revisions as mails. */
export const rawPatch: Handlers['rawPatch'] = async function* (request, { signal }, deps) {
  const repository = deps.storages.open(request.repository);
  const sides = requireSides(request);

  yield* outputMessages(
    repository,
    async function* (config) {
      yield* outputBytes(repository, mailsCommand(sides), { signal, config: await config() });
    },
    signal,
  );
};

/** Streams the output of `git range-diff` for two series of commits. */
export const rawRangeDiff: Handlers['rawRangeDiff'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const ranges = requireRanges(request);

  const output = checked(() =>
    rangeDiffOutput(repository, ranges, { color: 'as configured', signal: context.signal }),
  );
  for await (const bytes of output) yield* dataMessages(bytes);
};

/**
 * Yields the output of git in messages of at most 128 KiB. The buffers are those read from git, not
 * copies.
 *
 * @throws {GitalyError} INTERNAL `cmd: exit status 128`.
 */
async function* outputMessages(
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

function* dataMessages(bytes: Buffer): Generator<{ data: Buffer }> {
  for (let at = 0; at < bytes.length; at += MAX_CHUNK_BYTES)
    yield { data: bytes.subarray(at, at + MAX_CHUNK_BYTES) };
}
