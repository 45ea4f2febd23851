import { COST } from '#rpc/common/header-names';
import type { MethodInfo } from '#wire/method-info';
import type { CallStage, ServerCall, ServerInterceptor } from '../server-call.ts';

// The numbers are those of Gitaly 19.0.

const BY_OPERATION = { accessor: 1, mutator: 5, maintenance: 3, unknown: 1 } as const satisfies Record<
  MethodInfo['operation'],
  number
>;

const BY_METHOD: ReadonlyMap<string, number> = new Map([
  ['/gitaly.BlobService/GetBlobs', 6],
  ['/gitaly.BlobService/ListBlobs', 6],
  ['/gitaly.CommitService/ListCommits', 6],
  ['/gitaly.DiffService/CommitDiff', 8],
  ['/gitaly.DiffService/RawDiff', 8],
  ['/gitaly.DiffService/RawPatch', 8],
  ['/gitaly.RefService/FindDefaultBranchName', 1],
  ['/gitaly.RepositoryService/RepositoryExists', 1],
  ['/gitaly.SSHService/SSHReceivePack', 10],
  ['/gitaly.SSHService/SSHUploadPack', 10],
  ['/gitaly.SSHService/SSHUploadPackWithSidechannel', 10],
  ['/gitaly.ServerService/ServerInfo', 0],
  ['/gitaly.SmartHTTPService/PostReceivePack', 10],
  ['/gitaly.SmartHTTPService/PostUploadPackWithSidechannel', 10],
]);

/** One more cost unit per this number of bytes of messages, rounded up. */
const BYTES_PER_POINT = 1 << 20;

/**
 * Adds the trailer `x-gitaly-cost` to every response, errors included: a weight of the method and
 * of the bytes in its messages. Clients compute from it how much of a limit a user has used. Bytes
 * on a sidechannel do not count, nor does the response of a unary call, which Gitaly sends after it
 * has added the trailer.
 */
export const addCostTrailer: ServerInterceptor = () => STAGE;

const STAGE: CallStage = {
  end(call) {
    call.context.trailers.set(COST, String(costOf(call)));
  },
};

function costOf({ method, requestBytes, responseBytes }: ServerCall): number {
  const bytes = requestBytes + (method.kind === 'unary' ? 0 : responseBytes);
  const ofMethod = BY_METHOD.get(method.path) ?? BY_OPERATION[method.operation];
  return ofMethod + Math.ceil(bytes / BYTES_PER_POINT);
}
