import { codeOf, GitalyError, messageOf } from '#base/gitaly-error';
import type { RequestTarget } from '../named-targets.ts';
import type { CallStage, ServerInterceptor } from '../server-call.ts';

/**
 * Returns the reason why the object format of a repository cannot be used; `undefined` if it can,
 * and for a repository that is gone.
 */
export type ProblemOfFormat = (target: RequestTarget) => string | undefined;

const HASH = 'detecting object hash';
const FORMAT = 'detecting object format';
const READER = `creating object reader: ${HASH}`;

/**
 * The step in which Gitaly 19.0 detects the object format, by method, as its message names it. Here
 * most calls fail in a later step, or in git.
 */
const STEPS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    CheckBlobsGenerated: `retrieving object reader: ${HASH}`,
    GetBlob: `create object reader: ${HASH}`,
    GetBlobs: READER,
    ListBlobs: `processing blobs: creating object info reader: ${HASH}`,
    ListAllBlobs: `processing blobs: ${HASH}`,
    GetLFSPointers: `creating object info reader: ${HASH}`,
    ListLFSPointers: READER,
    ListAllLFSPointers: READER,
    ApplyBfgObjectMapStream: HASH,
    ListCommits: READER,
    ListAllCommits: READER,
    LastCommitForPath: HASH,
    ListLastCommitsForTree: HASH,
    GetCommitMessages: HASH,
    CheckObjectsExist: `creating object info reader: ${HASH}`,
    CommitDiff: FORMAT,
    CommitDelta: HASH,
    FindChangedPaths: `getting object info reader: ${HASH}`,
    RawRangeDiff: HASH,
    RangeDiff: HASH,
    UserDeleteBranch: FORMAT,
    UserDeleteTag: FORMAT,
    UserMergeBranch: FORMAT,
    UserCommitFiles: HASH,
    FindLocalBranches: READER,
    FindAllBranches: READER,
    FindAllTags: READER,
    FindAllRemoteBranches: READER,
    GetTagSignatures: READER,
    GetTagMessages: READER,
    FetchRemote: `fetch remote: ${HASH}`,
    FetchBundle: `fetch bundle: ${HASH}`,
    WriteRef: FORMAT,
    SearchFilesByName: HASH,
    SSHUploadPackWithSidechannel: HASH,
    SSHReceivePack: HASH,
    PostUploadPackWithSidechannel: `running upload-pack: ${HASH}`,
    PostReceivePack: HASH,
  }),
);
/**
 * Codes of errors in git's output or in reading objects. Errors with other codes have their own
 * reason.
 */
const UNEXPLAINED: ReadonlySet<string | undefined> = new Set([
  undefined,
  'UNKNOWN',
  'INTERNAL',
  'FAILED_PRECONDITION',
]);

/**
 * Returns the interceptor that gives errors of calls for repositories with an unknown object format
 * the text of Gitaly. The format is read again only when such a call has failed. The error of the
 * call is kept for the log.
 */
export function explainFormats(problemOf: ProblemOfFormat): ServerInterceptor {
  const stage: CallStage = {
    end({ method, targets }, failure) {
      const step = STEPS.get(method.name);
      const target = targets?.repository;
      if (failure === undefined || step === undefined || target === undefined) return;
      if (!UNEXPLAINED.has(codeOf(failure))) return;
      const problem = problemOf(target);
      if (problem === undefined) return;
      throw new GitalyError('INTERNAL', `${step}: ${problem}`, {
        cause: failure,
        metadata: {
          ...(failure instanceof GitalyError && failure.metadata),
          original_error: messageOf(failure),
        },
      });
    },
  };
  return ({ method }) => (STEPS.has(method.name) ? stage : undefined);
}
