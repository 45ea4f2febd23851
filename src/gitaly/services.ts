import { fileURLToPath } from 'node:url';
import { messageOf } from '#base/gitaly-error';
import { CapabilityAdvertisements } from '#domain/git-service/capability-advertisements';
import { HookManager } from '#domain/hooks/hook-manager';
import { HooksDirectories } from '#domain/hooks/hooks-directories';
import { GitReceivePack } from '#domain/receive-pack/git-receive-pack';
import { RemoteRepositories } from '#domain/remote-repository/remote-repositories';
import { CommitSigning } from '#domain/signing/commit-signing';
import { SigningKeys } from '#domain/signing/signing-keys';
import { type TransactionHooks, transactionHooks } from '#domain/transactions/transaction-hooks';
import { Voter } from '#domain/transactions/voter';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import type { RuntimeDirectory } from '#platform/process/runtime-directory';
import { packageVersion } from '#platform/process/version';
import type { GrpcChannel } from '#rpc/common/grpc-channel';
import type { Backchannels } from '#rpc/server/backchannels';
import { type HandlerContext, type ServedService, serve } from '#rpc/server/handler';
import { healthService } from '#rpc/server/health';
import { reflectionServices } from '#rpc/server/reflection';
import { analysisService } from '#services/analysis/index';
import { blobService } from '#services/blob/index';
import { commitService } from '#services/commit/index';
import { conflictsService } from '#services/conflicts/index';
import { transactionOf } from '#services/convert/push-context';
import { diffService } from '#services/diff/index';
import { hookService } from '#services/hook/index';
import { operationService } from '#services/operation/index';
import { refService } from '#services/ref/index';
import { repositoryService } from '#services/repository/index';
import { serverService } from '#services/server/index';
import { smartHttpService } from '#services/smarthttp/index';
import { sshService } from '#services/ssh/index';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import type { Vote } from '#storage/voter';
import { AnalysisService } from '#wire/gen/analysis_pb';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { ConflictsService } from '#wire/gen/conflicts_pb';
import { DiffService } from '#wire/gen/diff_pb';
import { HookService } from '#wire/gen/hook_pb';
import { OperationService } from '#wire/gen/operations_pb';
import { RefService } from '#wire/gen/ref_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { ServerService } from '#wire/gen/server_pb';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { servedByGitaly } from '#wire/methods';
import { internalApi } from './internal-api.ts';
import type { ServerMetrics } from './metrics.ts';
import { votesOverBackchannels } from './reverse-votes.ts';

/** For hooks that a script runs outside of a push; by way of the launcher, which finds Node. */
const HOOK_PROGRAM = fileURLToPath(new URL('../../bin/gitaly-hooks', import.meta.url));

export interface ServiceParts {
  readonly config: GitalyConfig;
  readonly logger: Logger;
  readonly metrics: ServerMetrics;
  readonly storages: Storages;
  readonly runtime: RuntimeDirectory;
  readonly backchannels: Backchannels<GrpcChannel>;
}

/**
 * All services that a gitaly serves, on the domain operations that they share. Methods that are not built yet answer UNIMPLEMENTED.
 * `resources` ends what the services hold.
 */
export async function createServices(
  parts: ServiceParts,
): Promise<{ services: readonly ServedService[]; resources: AsyncDisposable }> {
  const { config, logger, metrics, storages, runtime } = parts;
  const resources = new AsyncDisposableStack();
  const serverVersion = packageVersion();

  const voter = new Voter({ connect: votesOverBackchannels(parts.backchannels), observeDelay: metrics.observeVotingDelay });
  const hooks = new HookManager({
    storages,
    api: await internalApi(config, metrics.observeApiLatency),
    voter,
    customHooksDirectory: config.hooks.customHooksDir ?? '',
    onWarning: (message, error) => logger.warn({ error: messageOf(error) }, message),
  });
  const remotes = resources.use(new RemoteRepositories());
  const directories = resources.use(await HooksDirectories.create(runtime.path, HOOK_PROGRAM));
  const onHookError = (error: unknown): void => logger.error({ error: messageOf(error) }, 'error executing git hook');
  const receivePack = new GitReceivePack({
    hooks,
    directories,
    onHookError,
    onSweepError: (error) => logger.warn({ error: messageOf(error) }, 'removing what killed pushes left failed'),
  });
  const capabilities = new CapabilityAdvertisements();
  const voteOf = (context: HandlerContext): Vote | undefined => voter.voteOf(transactionOf(context), { signal: context.signal });
  const hooksOf = (context: HandlerContext, repository: Repository): TransactionHooks | undefined => {
    const vote = voteOf(context);
    return vote && transactionHooks(repository, { vote, directories, onError: onHookError });
  };

  const { signingKey = '', rotatedSigningKeys: rotated, committerName, committerEmail } = config.git;
  const signingKeys = signingKey === '' ? undefined : new SigningKeys({ signingKey, rotated });
  const commitSigning = new CommitSigning({ keys: signingKeys, committerName, committerEmail });
  await signingKeys?.all().catch((error: unknown) => {
    logger.warn({ error: messageOf(error) }, 'a signing key cannot be used: what needs it fails until its file is replaced');
  });

  const built: ServedService[] = [
    serve(AnalysisService, analysisService({ storages })),
    serve(BlobService, blobService({ storages })),
    serve(CommitService, commitService({ storages, signingKeys })),
    serve(ConflictsService, conflictsService({ storages, hooks, remotes })),
    serve(DiffService, diffService({ storages })),
    serve(HookService, hookService({ storages, hooks })),
    serve(OperationService, operationService({ storages, hooks, remotes, commitSigning, voteOf, transactionHooks: hooksOf })),
    serve(RefService, refService({ storages, voteOf, transactionHooks: hooksOf })),
    serve(
      RepositoryService,
      repositoryService({
        storages,
        voteOf,
        transactionHooks: hooksOf,
      }),
    ),
    serve(ServerService, serverService({ storages, serverVersion, signingKeys })),
    serve(
      SmartHTTPService,
      smartHttpService({
        storages,
        receivePack,
        voter,
        capabilities,
        serverVersion,
        observeGitProtocol: metrics.countGitProtocol,
        observeNegotiation: (statistics) => metrics.countNegotiation('smarthttp', statistics),
        observeInfoRefsCache: metrics.countInfoRefsCache,
      }),
    ),
    serve(
      SSHService,
      sshService({
        storages,
        receivePack,
        capabilities,
        voter,
        uploadPackTimeoutMs: config.timeout.uploadPackNegotiationMs,
        uploadArchiveTimeoutMs: config.timeout.uploadArchiveNegotiationMs,
        observeGitProtocol: metrics.countGitProtocol,
        observeNegotiation: (statistics) => metrics.countNegotiation('ssh', statistics),
      }),
    ),
  ];
  const names = new Set(built.map(({ service }) => service.typeName));
  const rest = servedByGitaly.filter(({ typeName }) => !names.has(typeName)).map((service) => serve(service, {}));
  const served = [...built, ...rest, healthService()];
  return { services: [...served, ...reflectionServices(served)], resources };
}
