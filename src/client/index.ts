/** The client of Gitaly and Praefect: `import { dial } from 'gitaly-ts/client'`. */

export { GitalyError, type StatusCode } from '#base/gitaly-error';
export type { Requests } from '#rpc/common/grpc/channel-call';
export { Metadata, type MetadataInit, type MetadataValue } from '#rpc/common/metadata';
export { checkToken, type TokenRefusal } from '#rpc/common/token-auth';
export { CallError } from './call/call-error.ts';
export type {
  CallCredentials,
  CallOptions,
  Interceptor,
  Invocation,
  Invoke,
  ResponseStream,
} from './call/call-types.ts';
export { currentCorrelationId, withCorrelationId } from './call/correlation.ts';
export { DEFAULT_RETRY_POLICY, type RetryPolicy } from './call/retry.ts';
export { tokenCredentials } from './call/token-credentials.ts';
export {
  currentTraceContext,
  type TraceContext,
  traceContextOf,
  withTraceContext,
} from './call/trace-context.ts';
export type {
  BidiCall,
  ClientOf,
  ClientStreamCall,
  ServerStreamCall,
  ServiceCaller,
  ServiceDescriptor,
  UnaryCall,
} from './call/typed-client.ts';
export { wrapResponses } from './call/wrap-responses.ts';
export { parseAddress, type Target } from './connect/address.ts';
export type { ConnectionState } from './connect/connection-state.ts';
export type { DnsResolverOptions } from './connect/dns-resolver.ts';
export type { Connection } from './connection.ts';
export type { WholeBlob } from './content/collect/blobs.ts';
export type { WholeConflictFile } from './content/collect/conflict-files.ts';
export type { WholeBlobDiff, WholeDiff } from './content/collect/diffs.ts';
export type { LocalBranch } from './content/collect/local-branches.ts';
export type { WholeWikiPage } from './content/collect/wiki-pages.ts';
export { collect } from './content/collect.ts';
export {
  type OpenedEntry,
  type OpenedObject,
  openArchive,
  openBlob,
  openTreeEntry,
} from './content/open-content.ts';
export { type PageOptions, paginate } from './content/paginate.ts';
export { type Dialer, dial } from './dial.ts';
export type { SidechannelDialOptions } from './dial-bare-sidechannel.ts';
export type { DialOptions, TlsOptions } from './dial-options.ts';
export { dialSidechannel } from './dial-sidechannel.ts';
export type { PackResult, Stdio } from './git/git-streams.ts';
export { type GitService, infoRefs } from './git/info-refs.ts';
export { postReceivePack } from './git/post-receive-pack.ts';
export { postUploadPack } from './git/post-upload-pack.ts';
export { readableFrom } from './git/readable-from.ts';
export { receivePack, uploadArchive, uploadPack } from './git/ssh-commands.ts';
export { uploadPackWithSidechannel } from './git/upload-pack-with-sidechannel.ts';
export { WRITE_BUFFER_BYTES } from './git/write-buffer.ts';
export { gitalyServers } from './gitaly-servers.ts';
export { healthCheckDialer } from './health-checking-dialer.ts';
export { Pool } from './pool.ts';
export {
  type SidechannelCallback,
  type SidechannelConnection,
  SidechannelRegistry,
  type SidechannelWaiter,
} from './sidechannel-registry.ts';
export { applyPatch } from './split/apply-patch.ts';
export { checkBlobsGenerated, checkObjectsExist } from './split/checks.ts';
export { commitFiles, type FileAction } from './split/commit-files.ts';
export { type ConflictResolution, resolveConflicts } from './split/resolve-conflicts.ts';
export { type Content, splitBytes } from './split/split-bytes.ts';
export { splitItems } from './split/split-items.ts';
export { updateRemoteMirror } from './split/update-remote-mirror.ts';
export {
  applyBfgObjectMap,
  createRepositoryFromBundle,
  fetchBundle,
  rewriteHistory,
  setCustomHooks,
} from './split/upload-to-repository.ts';
export { type ChangeUser, type RepositoryEvent, type WatchOptions, watchEvents } from './watch-events.ts';
