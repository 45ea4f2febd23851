import { observeCommands, observeStarts } from '#calls/cost/command-costs';
import type { GitCalls } from '#calls/git-calls';
import type { ServerMetrics } from '#calls/metrics';
import { runningCall } from '#calls/running-call';
import type { RunningCalls } from '#calls/running-calls';
import { callVariables } from '#calls/tracing/trace-variables';
import type { Tracing } from '#calls/tracing/tracing';
import { versionWith } from '#git/command/capabilities';
import { type ChooseControlGroup, Git } from '#git/command/git';
import { trimMemory } from '#git/command/spawner/trim-memory';
import type { ControlGroups } from '#platform/cgroups/control-groups';
import type { GitalyConfig } from '#platform/config/load-config';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { Logger } from '#platform/log/logger';
import { buildInfo } from '#platform/metrics/gitaly-metrics';
import { alsoRelease } from '#platform/process/idle-memory';
import { packageVersion } from '#platform/process/version';
import { STARTED_BY } from '#storage/leftovers/end-survivors';
import type { ProcessFamily } from '#workers/family';

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

export interface StartGitOptions {
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
