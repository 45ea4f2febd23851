import { eachInTurn } from '#base/async/loop-turns';
import { invalidArgument } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { rewriteHistory as rewrite } from '#domain/cleanup/rewrite-history';
import { objectIdProblem } from '#git/names/object-id';
import { openRequests } from '#services/convert/request/first-request';
import type { RewriteHistoryRequest } from '#wire/gen/cleanup_pb';
import type { Handlers } from './dependencies.ts';

/** Memory for the ids and patterns of one call together. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Removes blobs and texts from all commits of a repository. */
export const rewriteHistory: Handlers['rewriteHistory'] = async (requests, context, deps) => {
  const { first, rest } = await openRequests(requests, 'receiving initial request: EOF');
  const repository = deps.storages.open(first.repository);
  if (repository.objectFormat === 'sha256')
    throw invalidArgument('git-filter-repo does not support repositories using the SHA256 object format');

  const blobs: string[] = [];
  const redactions: Uint8Array[] = [];
  using held = new HeldBytes(MAX_BYTES, 'object IDs and redactions');
  const take = async (request: RewriteHistoryRequest): Promise<void> => {
    await eachInTurn(request.blobs, (oid) => {
      held.add(oid);
      blobs.push(checkId(oid));
    });
    await eachInTurn(request.redactions, (pattern) => {
      held.add(pattern);
      redactions.push(checkPattern(pattern));
    });
  };
  await take(first);
  for await (const request of rest) {
    if (request.repository !== undefined)
      throw invalidArgument('subsequent requests must not contain repository');
    await take(request);
  }
  if (blobs.length === 0 && redactions.length === 0)
    throw invalidArgument('no object IDs or text replacements specified');

  const hooks = deps.transactionHooks(context);
  await rewrite(repository, { blobs, redactions, hooks, signal: context.signal });
  return {};
};

function checkId(oid: string): string {
  const problem = objectIdProblem(Buffer.from(oid), 'sha1');
  if (problem !== undefined) throw invalidArgument(`validating object ID: ${problem}`);
  return oid;
}

/** The message does not contain the pattern, which is secret. */
function checkPattern(pattern: Uint8Array): Uint8Array {
  if (pattern.includes(0x0a)) throw invalidArgument('redaction pattern contains newline');
  return pattern;
}
