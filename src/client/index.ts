/** The client of Gitaly and Praefect: `import { dial } from 'gitaly-ts/client'`. */

export { GitalyError, type StatusCode } from '#base/gitaly-error';
export { Metadata, type MetadataInit, type MetadataValue } from '#rpc/common/metadata';
export { checkToken, type TokenRefusal } from '#rpc/common/token-auth';
export { parseAddress, type Target } from './address.ts';
export { applyPatch } from './apply-patch.ts';
export { CallError } from './call-error.ts';
export type { CallCredentials, CallOptions, Interceptor, Invocation, Invoke, Requests, ResponseStream } from './call-types.ts';
export { checkBlobsGenerated } from './check-blobs-generated.ts';
export { checkObjectsExist } from './check-objects-exist.ts';
export type { WholeBlob } from './collect/blobs.ts';
export type { WholeConflictFile } from './collect/conflict-files.ts';
export type { WholeBlobDiff, WholeDiff } from './collect/diffs.ts';
export type { LocalBranch } from './collect/local-branches.ts';
export type { WholeWikiPage } from './collect/wiki-pages.ts';
export { collect } from './collect.ts';
export { commitFiles, type FileAction } from './commit-files.ts';
export type { Connection } from './connection.ts';
export type { ConnectionState } from './connection-state.ts';
export { currentCorrelationId, withCorrelationId } from './correlation.ts';
export { type Dialer, dial } from './dial.ts';
export type { DialOptions, TlsOptions } from './dial-options.ts';
export { dialSidechannel, type SidechannelDialOptions } from './dial-sidechannel.ts';
export type { DnsResolverOptions } from './dns-resolver.ts';
export type { PackResult, Stdio } from './git-streams.ts';
export { gitalyServers } from './gitaly-servers.ts';
export { healthCheckDialer } from './health-checking-dialer.ts';
export { type GitService, infoRefs } from './info-refs.ts';
export { type OpenedEntry, type OpenedObject, openArchive, openBlob, openTreeEntry } from './open-content.ts';
export { type PageOptions, paginate } from './paginate.ts';
export { Pool } from './pool.ts';
export { postReceivePack } from './post-receive-pack.ts';
export { postUploadPack } from './post-upload-pack.ts';
export { readableFrom } from './readable-from.ts';
export { receivePack } from './receive-pack.ts';
export { type ConflictResolution, resolveConflicts } from './resolve-conflicts.ts';
export { DEFAULT_RETRY_POLICY, type RetryPolicy } from './retry.ts';
export {
  type SidechannelCallback,
  type SidechannelConnection,
  SidechannelRegistry,
  type SidechannelWaiter,
} from './sidechannel-registry.ts';
export { type Content, splitBytes } from './split/split-bytes.ts';
export { splitItems } from './split/split-items.ts';
export { tokenCredentials } from './token-credentials.ts';
export { currentTraceContext, type TraceContext, traceContextOf, withTraceContext } from './trace-context.ts';
export type {
  BidiCall,
  ClientOf,
  ClientStreamCall,
  ServerStreamCall,
  ServiceDescriptor,
  UnaryCall,
} from './typed-client.ts';
export { updateRemoteMirror } from './update-remote-mirror.ts';
export { uploadArchive } from './upload-archive.ts';
export { uploadPack } from './upload-pack.ts';
export { uploadPackWithSidechannel } from './upload-pack-with-sidechannel.ts';
export {
  applyBfgObjectMap,
  createRepositoryFromBundle,
  rewriteHistory,
  setCustomHooks,
} from './upload-to-repository.ts';
export { wrapResponses } from './wrap-responses.ts';
export { WRITE_BUFFER_BYTES } from './write-buffer.ts';
