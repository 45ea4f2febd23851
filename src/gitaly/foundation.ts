import { observeCommands, observeStarts } from '#calls/cost/command-costs';
import { type Exceptions, exceptions } from '#calls/exceptions';
import { DEFAULT_GIT_CALL_LIMITS, GitCalls } from '#calls/git-calls';
import { CallHistory } from '#calls/history/call-history';
import { createMetrics, type ServerMetrics } from '#calls/metrics';
import { runningCall } from '#calls/running-call';
import { RunningCalls } from '#calls/running-calls';
import { startTracing } from '#calls/tracing/start-tracing';
import { callVariables } from '#calls/tracing/trace-variables';
import type { Tracing } from '#calls/tracing/tracing';
import { reportViolations } from '#calls/violation-reports';
import { LastBackups } from '#domain/backup/last-backups';
import { versionWith } from '#git/command/capabilities';
import { type ChooseControlGroup, Git } from '#git/command/git';
import { trimMemory } from '#git/command/spawner/trim-memory';
import type { ControlGroups } from '#platform/cgroups/control-groups';
import { startControlGroups } from '#platform/cgroups/start-control-groups';
import type { GitalyConfig } from '#platform/config/load-config';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { Logger } from '#platform/log/logger';
import { cgroupMetrics } from '#platform/metrics/cgroup-metrics';
import { buildInfo } from '#platform/metrics/gitaly-metrics';
import { alsoRelease, releaseUnless } from '#platform/process/idle-memory';
import { PrivatePrograms } from '#platform/process/private-programs';
import { createRuntimeDirectory, type RuntimeDirectory } from '#platform/process/runtime-directory';
import { packageVersion } from '#platform/process/version';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { type ErrorReports, errorReports } from '#rpc/server/interceptors/error-reports';
import { STARTED_BY } from '#storage/leftovers/end-survivors';
import type { ProcessFamily } from '#workers/family';

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

const SLOW_SPAWNER =
  'git starts more slowly (each start blocks the server for 1 ms and more), its resource usage is not ' +
  'counted, and freed memory is not returned to the system';

/** Separates the storage's name from the path, and the words of a command without a repository. */
const SEPARATOR = '/';

/** Commands that create repositories. */
const CREATING: ReadonlySet<string> = new Set(['clone', 'init']);

/** On: repositories that the call creates have reftables, if git can make them. */
const NEW_REPO_REFTABLE: FeatureFlag = { name: 'new_repo_reftable_backend', onByDefault: false };

type Variables = ReturnType<typeof callVariables>;

interface StartGitOptions {
  readonly config: GitalyConfig;
  readonly logger: Logger;
  /** The other processes of this server; `undefined` for a server of one process. */
  readonly family: ProcessFamily | undefined;
  readonly metrics: ServerMetrics;
  readonly gitCalls: GitCalls;
  readonly calls: RunningCalls;
  readonly tracing: Tracing | undefined;
  /** Control groups of the git processes. */
  readonly groups: ControlGroups | undefined;
  /** Directory for a copy of git; absent for none. */
  readonly copyTo: string | undefined;
}

/**
 * Checks the git of this server, and prepares what runs it. @throws {Error} without a usable git.
 */
export async function startGit(options: StartGitOptions): Promise<Git> {
  const { config, logger, family, metrics, gitCalls, calls, tracing, groups, copyTo } = options;
  let gitVersion = '';
  const testedGit = process.env.GITALY_TESTING_GIT_BINARY;
  const git = await Git.start({
    binary: testedGit || config.git.binPath || 'git',
    privateCopy:
      copyTo !== undefined && !testedGit
        ? {
            parent: copyTo,
            onProblem: (error) =>
              logger.warn({ error }, 'git could not be copied: an upgrade would replace it'),
          }
        : undefined,
    config: config.git.config,
    hidesGitLabReferences: config.git.hideGitlabReferences,
    observer: observeCommands(metrics.commands, logger, () => gitVersion, calls, tracing),
    environment: withStarter(withRefFormat(callVariables(tracing), config), family),
    admission: gitCalls,
    waits: observeStarts(metrics.commands),
    ...(groups && { controlGroup: controlGroupOf(groups, config) }),
  });
  if (config.git.defaultRefFormat === 'reftable' && !git.capabilities.reftable)
    throw new Error(
      `git.default_ref_format: reftable needs git ${versionWith('reftable')} or newer, ` +
        `and this is ${git.version}`,
    );
  gitVersion = git.version;
  alsoRelease(() => void trimMemory());
  buildInfo(metrics.registry, { version: packageVersion(), gitVersion });
  logger.info({ binary_path: git.binary, version: git.version }, 'using Git version');
  if (git.spawner.fallbackReason !== undefined)
    logger.warn({ reason: git.spawner.fallbackReason }, SLOW_SPAWNER);
  return git;
}

/** Adds the variable by which the other processes of a server find the git of one that was killed. */
function withStarter(variables: Variables, family: ProcessFamily | undefined): Variables {
  if (family === undefined) return variables;
  const starter = { [STARTED_BY]: String(process.pid) };
  return (subcommand) => ({ ...variables(subcommand), ...starter });
}

/** Adds the variable that sets the storage of references in repositories that a command creates. */
function withRefFormat(variables: Variables, { git }: GitalyConfig): Variables {
  return (subcommand) => {
    if (!CREATING.has(subcommand)) return variables(subcommand);
    const isFlagged = runningCall()?.context.flags.isEnabled(NEW_REPO_REFTABLE) === true;
    const format = isFlagged ? 'reftable' : git.defaultRefFormat;
    // A git without reftables ignores the variable.
    return { ...variables(subcommand), ...(format !== 'files' && { GIT_DEFAULT_REF_FORMAT: format }) };
  };
}

/** Returns the choice of a group for each command: by storage and relative path, as Gitaly does. */
function controlGroupOf(groups: ControlGroups, { storage }: GitalyConfig): ChooseControlGroup {
  return (argv, repository) => {
    if (repository === undefined) return groups.groupFor(argv.map(String).join(SEPARATOR));
    const found = storage.find(({ path }) => repository.path.startsWith(`${path}/`));
    const key = found && [found.name, repository.path.slice(found.path.length + 1)].join(SEPARATOR);
    return groups.groupFor(key ?? repository.path);
  };
}
