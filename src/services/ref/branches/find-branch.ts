import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { firstWildcard } from '#git/names/wildmatch';
import type { RefReader } from '#git/refs/ref-reader';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { encodedCommit } from '#services/convert/response/encoded-commit';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { FindBranchResponseSchema } from '#wire/gen/ref_pb';
import { BranchSchema } from '#wire/gen/shared_pb';
import type { Handlers } from '../dependencies.ts';

const RESPONSE = fieldNumbers(FindBranchResponseSchema, { branch: 'message' });
const BRANCH = fieldNumbers(BranchSchema, { name: 'bytes', targetCommit: 'message' });
const BRANCHES = Buffer.from('refs/heads/');

/**
 * Finds a branch by its short name. An unknown one is an empty answer. The name goes to git as a
 * pattern, so one that represents another branch, or for the branches below it, is an error: a
 * conflict.
 */
export const findBranch: Handlers['findBranch'] = async (request, context, deps) => {
  const { refs, objects } = deps.storages.open(request.repository);
  if (request.name.length === 0) throw invalidArgument('Branch name cannot be empty');

  const { signal } = context;
  const oid = await find(refs, Buffer.concat([BRANCHES, request.name]), signal);
  if (oid === undefined) return {};
  const commit = await objects.findCommit(oid, { mailmap: usesMailmap(context), signal });
  if (commit === undefined) throw new GitalyError('INTERNAL', 'object not found');
  const message = encodedCommit(commit);
  const encoded = encodeWith((writer) => {
    writer.bytes(BRANCH.targetCommit, message);
    writer.bytes(BRANCH.name, request.name);
    writer.message(RESPONSE.branch, 0);
  });
  return encodedMessage(FindBranchResponseSchema, encoded);
};

async function find(refs: RefReader, name: Buffer, signal: AbortSignal): Promise<string | undefined> {
  const exact = firstWildcard(name) === -1 ? await refs.find(name, { signal }) : undefined;
  if (exact !== undefined) return exact.oid;
  for await (const [first] of refs.list({ patterns: [name], limit: 1 }, { signal })) {
    if (first === undefined || first.name.equals(name)) return first?.oid;
    const conflict = `reference is ambiguous: conflicts with ${quote(first.name)}`;
    throw invalidArgument(`target reference is ambiguous: ${conflict}`);
  }
  return undefined;
}

/**
 * Returns the full name of the default branch, empty in a repository without branches; with
 * `head_only`, the target of HEAD, even if it does not exist.
 */
export const findDefaultBranchName: Handlers['findDefaultBranchName'] = async (request, context, deps) => {
  const { refs } = deps.storages.open(request.repository);
  const { signal } = context;

  try {
    const name = request.headOnly ? await refs.headTarget({ signal }) : await refs.defaultBranch({ signal });
    return name === undefined ? {} : { name };
  } catch (error) {
    throw wrap(error, request.headOnly ? 'head reference' : 'get default branch');
  }
};
