import type { MessageInitShape } from '@bufbuild/protobuf';
import { codeOf } from '#base/gitaly-error';
import type { FindDefaultBranchNameRequestSchema } from '#wire/gen/ref_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';

/** The full name of the reference that HEAD names, or the commit at which it is detached. */
export type Head = { readonly name: Buffer } | { readonly commitId: string };

/**
 * Returns the HEAD of a repository; `undefined` if FindDefaultBranchName finds none. Servers return
 * the same error for a broken and for a detached HEAD, so this function then looks for a commit.
 *
 * @throws {CallError} INTERNAL for a broken HEAD.
 */
export async function readHead(
  connection: Pick<Connection, 'commit' | 'ref'>,
  request: MessageInitShape<typeof FindDefaultBranchNameRequestSchema>,
  options: CallOptions = {},
): Promise<Head | undefined> {
  try {
    const { name } = await connection.ref.findDefaultBranchName(request, options);
    return name.length === 0 ? undefined : { name: Buffer.from(name) };
  } catch (error) {
    if (codeOf(error) !== 'INTERNAL') throw error;
    const revision = Buffer.from('HEAD');
    const ofCommit = { ...(request.repository && { repository: request.repository }), revision };
    const { commit } = await connection.commit.findCommit(ofCommit, options);
    if (commit === undefined) throw error;
    return { commitId: commit.id };
  }
}
