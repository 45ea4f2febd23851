import { GitalyError, wrap } from '#base/gitaly-error';
import { takeBytes } from '#services/convert/request/take-bytes';
import type { Handlers } from '../dependencies.ts';
import { readNamed } from './read-named.ts';

/**
 * Reads whole commit messages, in the order requested: one message with the name that was
 * requested, then the text in pieces.
 */
export const getCommitMessages: Handlers['getCommitMessages'] = async function* (request, context, deps) {
  const { objects } = deps.storages.open(request.repository);

  try {
    for await (const batch of readNamed(objects, request.commitIds, context)) {
      for (const { revision, commit } of batch) {
        if (commit === undefined) throw new GitalyError('INTERNAL', 'object not found');
        yield { commitId: revision };
        const { body } = commit.parsed;
        for await (const message of takeBytes([body], body.length)) yield { message };
      }
    }
  } catch (error) {
    throw wrap(error, 'failed to get commit message');
  }
};
