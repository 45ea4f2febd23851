import { writeFile } from 'node:fs/promises';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ErrorDetail, GitalyError, wrap } from '#base/gitaly-error';
import { blame, blameProblem } from '#git/blame/blame';
import { GitExitError } from '#git/command/exit-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import { RawBlameErrorSchema, type RawBlameRequest, type RawBlameResponseSchema } from '#wire/gen/commit_pb';
import { requireRevision } from '../convert/revision.ts';
import { takeBytes } from '../convert/take-bytes.ts';
import type { CommitRooms } from './index.ts';
import { isLocalPath } from './local-path.ts';

const RANGE = /^\d+,\d+$/;
/** A list of a hundred thousand commits. */
const MAX_IGNORE_LIST_BYTES = 8 * 1024 * 1024;

/** Tells for each line of a file which commit it is from, in git's porcelain format. */
export async function* rawBlame(
  request: RawBlameRequest,
  { signal }: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<MessageInitShape<typeof RawBlameResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const revision = requireRevision(request.revision);
  const { path, ignoreRevisionsBlob } = request;
  if (path.length === 0) throw new GitalyError('INVALID_ARGUMENT', 'empty Path');
  if (!isLocalPath(path)) throw new GitalyError('INVALID_ARGUMENT', 'path escapes repository root');
  const range = Buffer.from(request.range).toString('latin1');
  if (range !== '' && !RANGE.test(range)) throw new GitalyError('INVALID_ARGUMENT', 'invalid Range');

  await using resources = new AsyncDisposableStack();
  const ignoreRevsFile =
    ignoreRevisionsBlob.length === 0 ? undefined : await ignoreFile(repository, ignoreRevisionsBlob, { resources, signal });
  const query = { revision, path, range: range === '' ? undefined : range, ignoreRevsFile };
  try {
    for await (const data of takeBytes(blaming(repository, query, signal), Number.POSITIVE_INFINITY)) yield { data };
  } catch (error) {
    throw failure(request, error);
  }
}

/** @throws {GitalyError} `starting blame: …` for words that git must not see. */
function blaming(repository: Repository, query: Parameters<typeof blame>[2], signal: AbortSignal): AsyncIterable<Buffer> {
  try {
    return blame(repository.git, repository, query, signal);
  } catch (error) {
    throw wrap(error, 'starting blame');
  }
}

/** Writes the list of ignored commits where git can read it: a file of its own, removed with `resources`. */
async function ignoreFile(
  { objects, storage }: Repository,
  blob: Uint8Array,
  { resources, signal }: { readonly resources: AsyncDisposableStack; readonly signal: AbortSignal },
): Promise<string> {
  const object = await objects.readObject(blob, { maxBytes: MAX_IGNORE_LIST_BYTES, signal });
  const details = [detail({ case: 'resolveIgnoreRevs', value: { ignoreRevisionsBlob: blob } })];
  if (object === undefined) throw new GitalyError('NOT_FOUND', 'cannot resolve ignore-revs blob', { details });
  if (object.type !== 'blob') throw new GitalyError('INVALID_ARGUMENT', 'ignore revision is not a blob', { details });
  const directory = resources.use(await createTempDirectory(storage, 'blame-'));
  const file = `${directory.path}/ignore-revs`;
  await writeFile(file, object.data, { signal });
  return file;
}

function failure({ path }: RawBlameRequest, error: unknown): unknown {
  const problem = blameProblem(error);
  const facts = error instanceof GitExitError ? { cause: error, metadata: { stderr: error.stderr } } : {};
  switch (problem?.kind) {
    case 'no-such-path': {
      const details = [detail({ case: 'pathNotFound', value: { path } })];
      return new GitalyError('NOT_FOUND', 'path not found in revision', { ...facts, details });
    }
    case 'out-of-range': {
      const details = [detail({ case: 'outOfRange', value: { actualLines: problem.lines } })];
      return new GitalyError('INVALID_ARGUMENT', 'range is outside of the file length', { ...facts, details });
    }
    case 'bad-ignored-commit': {
      const details = [detail({ case: 'invalidIgnoreRevsFormat', value: { content: Buffer.from(problem.line) } })];
      return new GitalyError('NOT_FOUND', 'invalid object name', { ...facts, details });
    }
    case undefined:
      return error instanceof GitExitError ? wrap(error, 'blaming file') : error;
  }
}

function detail(error: MessageInitShape<typeof RawBlameErrorSchema>['error']): ErrorDetail {
  return create(RawBlameErrorSchema, error === undefined ? {} : { error });
}
