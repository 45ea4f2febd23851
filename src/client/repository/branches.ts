import type { MessageInitShape } from '@bufbuild/protobuf';
import { codeOf, GitalyError } from '#base/gitaly-error';
import type { FindLocalBranchesRequestSchema } from '#wire/gen/ref_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { eachItem } from '../content/collect/each-item.ts';
import { localBranches } from '../content/collect/local-branches.ts';
import { ReferenceExistsError } from './errors.ts';
import type { Place } from './place.ts';
import { type Branch, branchOf } from './values.ts';

const HEADS = Buffer.from('refs/heads/');

/**
 * Yields the branches of a repository. git fails to list a branch whose commit has a date that it
 * cannot read (old gits wrote 18446744073709548016 for a time before 1970). Then all branches are
 * yielded by name, whatever the request is.
 */
export async function* listBranches(
  connection: Connection,
  request: MessageInitShape<typeof FindLocalBranchesRequestSchema>,
  options: CallOptions,
): AsyncGenerator<Branch, void, undefined> {
  let hasListed = false;
  try {
    for await (const branch of localBranches(connection.ref.findLocalBranches(request, options))) {
      hasListed = true;
      yield branchOf(branch);
    }
  } catch (error) {
    if (hasListed || codeOf(error) !== 'INTERNAL') throw error;
    yield* byName(connection, request, options);
  }
}

async function* byName(
  connection: Connection,
  { repository }: MessageInitShape<typeof FindLocalBranchesRequestSchema>,
  options: CallOptions,
): AsyncGenerator<Branch, void, undefined> {
  const responses = connection.ref.findAllBranches({ ...(repository && { repository }) }, options);
  for await (const { name, target } of eachItem(responses, ({ branches }) => branches))
    if (HEADS.equals(name.subarray(0, HEADS.length)) && target !== undefined)
      yield branchOf({ name, targetCommit: target });
}

/**
 * Creates a branch. The server's error for a branch that exists has no detail, and a code that
 * other errors have, too. So this function then looks for the branch.
 *
 * @throws {ReferenceExistsError}
 */
export async function createBranch(
  { connection, repository, user }: Place,
  branch: { readonly branchName: Uint8Array; readonly startPoint: Uint8Array },
  options: CallOptions,
): Promise<void> {
  try {
    await connection.operation.userCreateBranch({ repository, user, ...branch }, options);
  } catch (error) {
    if (!(error instanceof GitalyError) || error.code !== 'FAILED_PRECONDITION') throw error;
    if (error.details.length > 0) throw error;
    const referenceName = Buffer.concat([HEADS, branch.branchName]);
    const { value } = await connection.ref
      .refExists({ repository, ref: referenceName }, options)
      .catch(() => ({ value: false })); // the first error says more
    throw value ? new ReferenceExistsError(error, { referenceName }) : error;
  }
}
