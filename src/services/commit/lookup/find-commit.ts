import { readTrailers } from '#git/objects/read-trailers';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { requireRevision } from '#services/convert/request/revision';
import { encodedCommit } from '#services/convert/response/encoded-commit';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { FindCommitResponseSchema } from '#wire/gen/commit_pb';
import type { Handlers } from '../dependencies.ts';

const { commit: COMMIT } = fieldNumbers(FindCommitResponseSchema, { commit: 'message' });

/**
 * Reads the commit at a revision, with tags peeled. A revision without a commit gives an empty
 * response, not an error.
 */
export const findCommit: Handlers['findCommit'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision);

  const { signal } = context;
  const commit = await repository.objects.findCommit(revision, { signal, mailmap: usesMailmap(context) });
  if (commit === undefined) return {};
  const extras = request.trailers ? { trailers: await readTrailers(repository, commit.parsed, signal) } : {};
  const message = encodedCommit(commit, extras);
  return encodedMessage(
    FindCommitResponseSchema,
    encodeWith((writer) => writer.bytes(COMMIT, message)),
  );
};
