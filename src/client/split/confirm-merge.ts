import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type {
  UserMergeBranchRequestSchema,
  UserMergeBranchResponse,
  UserRebaseConfirmableRequest_HeaderSchema,
  UserRebaseConfirmableRequestSchema,
  UserRebaseConfirmableResponse,
} from '#wire/gen/operations_pb';
import type { CallOptions, ResponseStream } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';

type MergeRequest = MessageInitShape<typeof UserMergeBranchRequestSchema>;
type RebaseRequest = MessageInitShape<typeof UserRebaseConfirmableRequestSchema>;

/** A merge as in requests of UserMergeBranch. */
export type MergeHeader = Omit<
  Exclude<MessageInitShape<typeof UserMergeBranchRequestSchema>, Message>,
  'apply'
>;

/** Work between the two steps of a change. */
export interface Confirmation extends CallOptions {
  /**
   * Called with the id of the new commit before the branch moves to it. If it throws, the branch
   * does not move, and the change fails with that error.
   */
  readonly beforeApply?: (commitId: string) => void | Promise<void>;
}

/**
 * Merges a commit into a branch, and confirms the merge (RPC UserMergeBranch). Returns the id of
 * the merge.
 *
 * @throws {CallError} the status of the call; {GitalyError} PERMISSION_DENIED with the text of a
 *   hook that older servers put into an OK response.
 */
export async function confirmMerge(
  connection: Connection,
  header: MergeHeader,
  { beforeApply, ...options }: Confirmation = {},
): Promise<string> {
  let merged: string | undefined;
  await confirmed<MergeRequest, UserMergeBranchResponse>(
    { first: header, second: { apply: true } },
    {
      start: (requests) => connection.operation.userMergeBranch(requests, options),
      onResponse: async ({ preReceiveError, branchUpdate, commitId }) => {
        requireAccepted(preReceiveError);
        if (commitId !== '') await beforeApply?.(commitId);
        merged = branchUpdate?.commitId ?? merged;
      },
    },
  );
  if (merged === undefined) throw new GitalyError('INTERNAL', 'the server confirmed no merge');
  return merged;
}

/**
 * Rebases a branch, and confirms the result (RPC UserRebaseConfirmable). Returns the new tip.
 * Throws the errors of {@link confirmMerge}.
 */
export async function confirmRebase(
  connection: Connection,
  header: MessageInitShape<typeof UserRebaseConfirmableRequest_HeaderSchema>,
  { beforeApply, ...options }: Confirmation = {},
): Promise<string> {
  const first: RebaseRequest = { userRebaseConfirmableRequestPayload: { case: 'header', value: header } };
  const second: RebaseRequest = { userRebaseConfirmableRequestPayload: { case: 'apply', value: true } };
  let tip: string | undefined;
  let isApplied = false;
  await confirmed<RebaseRequest, UserRebaseConfirmableResponse>(
    { first, second },
    {
      start: (requests) => connection.operation.userRebaseConfirmable(requests, options),
      onResponse: async ({ preReceiveError, gitError, userRebaseConfirmableResponsePayload: payload }) => {
        requireAccepted(preReceiveError);
        if (gitError !== '') throw new GitalyError('FAILED_PRECONDITION', gitError);
        if (payload.case === 'rebaseSha') {
          tip = payload.value;
          await beforeApply?.(tip);
        }
        if (payload.case === 'rebaseApplied') isApplied = payload.value;
      },
    },
  );
  if (tip === undefined || !isApplied) throw new GitalyError('INTERNAL', 'the server confirmed no rebase');
  return tip;
}

/** Sends the second request after the first response, and reads the rest. */
async function confirmed<Request, Response>(
  { first, second }: { readonly first: Request; readonly second: Request },
  call: {
    readonly start: (requests: AsyncIterable<Request>) => ResponseStream<Response>;
    readonly onResponse: (response: Response) => Promise<void>;
  },
): Promise<void> {
  const { promise: isConfirmed, resolve: confirm } = Promise.withResolvers<boolean>();
  async function* requests() {
    yield first;
    if (await isConfirmed) yield second;
  }
  try {
    for await (const response of call.start(requests())) {
      await call.onResponse(response);
      confirm(true);
    }
  } finally {
    confirm(false);
  }
}

/** Gitaly 15 reports the refusal of a hook in an OK response. */
export function requireAccepted(preReceiveError: string): void {
  if (preReceiveError !== '') throw new GitalyError('PERMISSION_DENIED', preReceiveError);
}
