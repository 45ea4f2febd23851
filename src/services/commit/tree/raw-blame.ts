import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ErrorDetail, GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { isLocalPath } from '#base/go/is-local-path';
import { BlameError, blameFile, IgnoreListError } from '#domain/history/blame-file';
import { requireRevision } from '#services/convert/request/revision';
import { takeBytes } from '#services/convert/request/take-bytes';
import { RawBlameErrorSchema, type RawBlameRequest } from '#wire/gen/commit_pb';
import type { Handlers } from '../dependencies.ts';

const RANGE = /^\d+,\d+$/;

/** Reports for each line of a file the commit that it is from, in git's porcelain format. */
export const rawBlame: Handlers['rawBlame'] = async function* (request, { signal }, deps) {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision);
  const { path, ignoreRevisionsBlob } = request;
  if (path.length === 0) throw invalidArgument('empty Path');
  if (!isLocalPath(path)) throw invalidArgument('path escapes repository root');
  const range = Buffer.from(request.range).toString('latin1');
  if (range !== '' && !RANGE.test(range)) throw invalidArgument('invalid Range');

  const query = { revision, path, range: range === '' ? undefined : range, ignoreRevisionsBlob };
  try {
    for await (const data of takeBytes(blameFile(repository, query, signal), Number.POSITIVE_INFINITY))
      yield { data };
  } catch (error) {
    throw failure(request, error);
  }
};

function failure({ path, ignoreRevisionsBlob }: RawBlameRequest, error: unknown): unknown {
  if (error instanceof IgnoreListError) {
    const details = [detail({ case: 'resolveIgnoreRevs', value: { ignoreRevisionsBlob } })];
    return new GitalyError(error.isMissing ? 'NOT_FOUND' : 'INVALID_ARGUMENT', error.message, { details });
  }
  if (!(error instanceof BlameError)) return error;
  const { cause, problem } = error;
  const facts = { cause, metadata: { stderr: cause.stderr } };
  switch (problem?.kind) {
    case 'no-such-path': {
      const details = [detail({ case: 'pathNotFound', value: { path } })];
      return new GitalyError('NOT_FOUND', 'path not found in revision', { ...facts, details });
    }
    case 'out-of-range': {
      const details = [detail({ case: 'outOfRange', value: { actualLines: problem.lines } })];
      return invalidArgument('range is outside of the file length', {
        ...facts,
        details,
      });
    }
    case 'bad-ignored-commit': {
      const value = { content: Buffer.from(problem.line) };
      const details = [detail({ case: 'invalidIgnoreRevsFormat', value })];
      return new GitalyError('NOT_FOUND', 'invalid object name', { ...facts, details });
    }
    case undefined:
      return wrap(cause, 'blaming file');
  }
}

function detail(error: NonNullable<MessageInitShape<typeof RawBlameErrorSchema>['error']>): ErrorDetail {
  return create(RawBlameErrorSchema, { error });
}
