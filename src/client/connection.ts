import { AnalysisService } from '#wire/gen/analysis_pb';
import { BackupService } from '#wire/gen/backup_pb';
import { BlobService } from '#wire/gen/blob_pb';
import { CleanupService } from '#wire/gen/cleanup_pb';
import { RaftService } from '#wire/gen/cluster_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { ConflictsService } from '#wire/gen/conflicts_pb';
import { DiffService } from '#wire/gen/diff_pb';
import { ArchiveService } from '#wire/gen/gitalyts/archives/v1/archives_pb';
import { BackupRunService } from '#wire/gen/gitalyts/backups/v1/backups_pb';
import { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';
import { LifetimeService } from '#wire/gen/gitalyts/lifetimes/v1/lifetimes_pb';
import { SettingsService } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import { Health } from '#wire/gen/grpc/health/v1/health_pb';
import { HookService } from '#wire/gen/hook_pb';
import { InternalGitaly } from '#wire/gen/internal_pb';
import { NamespaceService } from '#wire/gen/namespace_pb';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { OperationService } from '#wire/gen/operations_pb';
import { PartitionService } from '#wire/gen/partition_pb';
import { PraefectInfoService } from '#wire/gen/praefect_pb';
import { RefService } from '#wire/gen/ref_pb';
import { RemoteService } from '#wire/gen/remote_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { ServerService } from '#wire/gen/server_pb';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { RefTransaction } from '#wire/gen/transaction_pb';
import { WikiService } from '#wire/gen/wiki_pb';
import type { BareConnection } from './bare-connection.ts';
import type { Invocation, ResponseStream } from './call/call-types.ts';
import type { ClientOf, ServiceCaller, ServiceDescriptor } from './call/typed-client.ts';
import type { ConnectionState } from './connect/connection-state.ts';

/**
 * A connection to a Gitaly or Praefect, from `dial`, with the functions of all services. It opens
 * at the first call, reconnects automatically, and may be shared by any number of calls. While no
 * call runs it does not keep the process alive. It uses one GrpcChannel for each open HTTP/2
 * session.
 */
export class Connection implements ServiceCaller, AsyncDisposable {
  readonly #bare: BareConnection;

  constructor(bare: BareConnection) {
    this.#bare = bare;
  }

  /** The address that was dialed. */
  get address(): string {
    return this.#bare.address;
  }

  get state(): ConnectionState {
    return this.#bare.state;
  }

  /**
   * Connects if necessary and waits until a call could start at once. Retries until it succeeds or
   * the time is up.
   */
  waitForReady(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<void> {
    return this.#bare.waitForReady(options);
  }

  /** Closes at once: running calls fail with CANCELLED. Idempotent. */
  close(): Promise<void> {
    return this.#bare.close();
  }

  /**
   * Returns this connection for users who must not close it: `close` has no effect on the result.
   */
  share(): Connection {
    return new Connection(this.#bare.share());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Starts a call of any method, through the interceptors. */
  invoke(invocation: Invocation): ResponseStream<unknown> {
    return this.#bare.invoke(invocation);
  }

  /** Returns the functions of any generated service. */
  client<S extends ServiceDescriptor>(service: S): ClientOf<S> {
    return this.#bare.client(service);
  }

  get analysis(): ClientOf<typeof AnalysisService> {
    return this.client(AnalysisService);
  }
  /** The archives of storages. UNIMPLEMENTED from servers other than gitaly-ts. */
  get archives(): ClientOf<typeof ArchiveService> {
    return this.client(ArchiveService);
  }
  get backup(): ClientOf<typeof BackupService> {
    return this.client(BackupService);
  }
  /** The last backups of storages. UNIMPLEMENTED from servers other than gitaly-ts. */
  get backupRuns(): ClientOf<typeof BackupRunService> {
    return this.client(BackupRunService);
  }
  get blob(): ClientOf<typeof BlobService> {
    return this.client(BlobService);
  }
  get cleanup(): ClientOf<typeof CleanupService> {
    return this.client(CleanupService);
  }
  get commit(): ClientOf<typeof CommitService> {
    return this.client(CommitService);
  }
  get conflicts(): ClientOf<typeof ConflictsService> {
    return this.client(ConflictsService);
  }
  get diff(): ClientOf<typeof DiffService> {
    return this.client(DiffService);
  }
  /**
   * The change feed of a gitaly-ts with `[events] enabled`. Other servers respond UNIMPLEMENTED.
   */
  get events(): ClientOf<typeof EventService> {
    return this.client(EventService);
  }
  get health(): ClientOf<typeof Health> {
    return this.client(Health);
  }
  get hook(): ClientOf<typeof HookService> {
    return this.client(HookService);
  }
  get internal(): ClientOf<typeof InternalGitaly> {
    return this.client(InternalGitaly);
  }
  /**
   * The lifetimes of repositories and references. UNIMPLEMENTED from servers other than gitaly-ts.
   */
  get lifetimes(): ClientOf<typeof LifetimeService> {
    return this.client(LifetimeService);
  }
  get namespace(): ClientOf<typeof NamespaceService> {
    return this.client(NamespaceService);
  }
  get objectPool(): ClientOf<typeof ObjectPoolService> {
    return this.client(ObjectPoolService);
  }
  get operation(): ClientOf<typeof OperationService> {
    return this.client(OperationService);
  }
  get partition(): ClientOf<typeof PartitionService> {
    return this.client(PartitionService);
  }
  get praefectInfo(): ClientOf<typeof PraefectInfoService> {
    return this.client(PraefectInfoService);
  }
  get raft(): ClientOf<typeof RaftService> {
    return this.client(RaftService);
  }
  get ref(): ClientOf<typeof RefService> {
    return this.client(RefService);
  }
  get refTransaction(): ClientOf<typeof RefTransaction> {
    return this.client(RefTransaction);
  }
  get remote(): ClientOf<typeof RemoteService> {
    return this.client(RemoteService);
  }
  get repository(): ClientOf<typeof RepositoryService> {
    return this.client(RepositoryService);
  }
  get server(): ClientOf<typeof ServerService> {
    return this.client(ServerService);
  }
  /**
   * Descriptions of repositories and their rules. UNIMPLEMENTED from servers other than gitaly-ts.
   */
  get settings(): ClientOf<typeof SettingsService> {
    return this.client(SettingsService);
  }
  get smartHttp(): ClientOf<typeof SmartHTTPService> {
    return this.client(SmartHTTPService);
  }
  get ssh(): ClientOf<typeof SSHService> {
    return this.client(SSHService);
  }
  get wiki(): ClientOf<typeof WikiService> {
    return this.client(WikiService);
  }
}
