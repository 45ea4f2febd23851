import { type Exceptions, exceptions } from '#calls/exceptions';
import { DEFAULT_GIT_CALL_LIMITS, GitCalls } from '#calls/git-calls';
import { CallHistory } from '#calls/history/call-history';
import { createMetrics } from '#calls/metrics';
import { RunningCalls } from '#calls/running-calls';
import { startTracing } from '#calls/tracing/start-tracing';
import { reportViolations } from '#calls/violation-reports';
import { LastBackups } from '#domain/backup/last-backups';
import type { Git } from '#git/command/git';
import { startControlGroups } from '#platform/cgroups/start-control-groups';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import { cgroupMetrics } from '#platform/metrics/cgroup-metrics';
import { releaseUnless } from '#platform/process/idle-memory';
import { PrivatePrograms } from '#platform/process/private-programs';
import { createRuntimeDirectory, type RuntimeDirectory } from '#platform/process/runtime-directory';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { type ErrorReports, errorReports } from '#rpc/server/interceptors/error-reports';
import type { ProcessFamily } from '#workers/family';
import { type StartGitOptions, startGit } from './start-git.ts';

/** The base of every part of a server: its process, its git, and the modules that follow its calls. */
export interface Foundation extends Omit<StartGitOptions, 'copyTo'> {
  readonly runtime: RuntimeDirectory;
  readonly programs: PrivatePrograms;
  readonly reports: ErrorReports | undefined;
  readonly exceptions: Exceptions;
  /** `undefined` unless it is wanted. */
  readonly history: CallHistory | undefined;
  readonly lastBackups: LastBackups;
  readonly git: Git;
  readonly predecessorEnded: Promise<void> | undefined;
  /** Sessions of multiplexed connections. */
  readonly backchannels: Backchannels<GrpcChannel>;
}

export interface FoundationOptions {
  readonly config: GitalyConfig;
  readonly logger: Logger;
  /** Copies git and the programs that it starts to the runtime directory. */
  readonly copiesPrograms: boolean;
  /** Keeps a history of the calls. */
  readonly keepsHistory: boolean;
  readonly family: ProcessFamily | undefined;
  /** Resolves when the process that this one replaces has ended; `undefined` without one. */
  readonly predecessorEnded: Promise<void> | undefined;
}

/** Creates the foundation of a server. `resources` ends it. @throws {Error} without a usable git. */
export async function createFoundation(
  { config, logger, copiesPrograms, keepsHistory, family, predecessorEnded }: FoundationOptions,
  resources: AsyncDisposableStack,
): Promise<Foundation> {
  const runtime = resources.adopt(
    await createRuntimeDirectory({
      parent: config.runtimeDir,
      onLeftAlone: (path, reason) => logger.warn({ path, reason }, 'could not prune runtime directory'),
    }),
    (directory) => directory.remove(),
  );
  const programs = resources.use(
    PrivatePrograms.create(runtime.path, {
      copies: copiesPrograms,
      onProblem: (error) => logger.warn({ error }, 'the programs that git starts could not be copied'),
    }),
  );
  const metrics = createMetrics(config);
  resources.use(reportViolations(metrics.registry, logger));
  const tracing = resources.use((await startTracing(process.env.GITLAB_TRACING, logger)) ?? null);
  const isWorker = family?.role === 'worker';
  const supervisor = isWorker ? process.ppid : undefined;
  const groups = resources.use(startControlGroups(config.cgroups, logger, supervisor) ?? null) ?? undefined;
  if (groups?.version === 2 && !isWorker)
    for (const directory of groups.parentDirectories)
      cgroupMetrics(metrics.registry, { directory, path: groups.parentPath });
  const reports = resources.use(errorReports(config.logging, logger));
  const own = { config, logger, family, metrics, runtime, programs, tracing: tracing ?? undefined, groups };
  const [calls, gitCalls] = [new RunningCalls(), new GitCalls(DEFAULT_GIT_CALL_LIMITS, family?.share)];
  resources.use(releaseUnless(() => calls.isWorking));
  const git = await startGit({ ...own, calls, gitCalls, copyTo: copiesPrograms ? runtime.path : undefined });
  return {
    ...own,
    reports,
    predecessorEnded,
    exceptions: exceptions(metrics, logger, reports),
    calls,
    history: keepsHistory ? resources.use(new CallHistory()) : undefined,
    gitCalls,
    lastBackups: new LastBackups({
      process: family?.role === 'worker' ? family.number : 0,
      onProblem: (error, storage) =>
        logger.warn({ error, storage }, 'the result of a backup could not be kept'),
    }),
    git,
    backchannels: new Backchannels<GrpcChannel>((stream) => connectGrpc(stream)),
  };
}
