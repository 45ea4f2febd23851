import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { GitDirectory } from '../repository-files/git-directory.ts';
import { STARTS_NONE, SUBCOMMANDS, type SubcommandName } from './allowed.ts';
import { askGit, type RunnableGit } from './ask-git.ts';
import {
  capabilitiesOf,
  type GitCapabilities,
  isAtLeast,
  MINIMUM_GIT,
  parseGitVersion,
} from './capabilities.ts';
import { collectOutput } from './collect-output.ts';
import { type ConfigPair, configOf, secretEnvironment } from './config.ts';
import { gitEnvironment, inheritedEnvironment } from './environment.ts';
import { findProgram } from './find-program.ts';
import { checkNul, type GitCommand } from './git-command.ts';
import { type PrivateCopyOptions, privateCopy } from './private-git.ts';
import type { GitProcess } from './process/git-process.ts';
import { type SpawnAdmission, SpawnGate, type SpawnWaits } from './process/spawn-gate.ts';
import { type ProcessObserver, type ProcessStart, startProcess } from './process/start-process.ts';
import type { RunOptions, SpawnOptions } from './spawn-options.ts';
import { chooseSpawner } from './spawner/choose-spawner.ts';
import type { Arg, ControlGroup, Spawner } from './spawner/spawner.ts';

export interface GitOptions {
  /** Path of the git program, or a name to search on the PATH. */
  readonly binary: string;
  /** The operator's `[[git.config]]`, which overrides all other settings. */
  readonly config?: readonly ConfigPair[];
  /** False shows clients the references that GitLab hides (`refs/remotes/` …). Default true. */
  readonly hidesGitLabReferences?: boolean;
  readonly spawner?: Spawner;
  /** Notified of every process, for metrics and logs. */
  readonly observer?: ProcessObserver;
  /** Returns additional variables for a command that is started now. */
  readonly environment?: ((subcommand: string) => Readonly<Record<string, string>>) | undefined;
  /** Limits processes and records who starts them. */
  readonly admission?: SpawnAdmission;
  /** Receives the time that a start of a process waited, for metrics. */
  readonly waits?: SpawnWaits;
  /** Returns the control group for a command: by its repository, otherwise by its words. */
  readonly controlGroup?: ChooseControlGroup;
  /** Runs a private copy of git, which an upgrade on disk does not replace. */
  readonly privateCopy?: PrivateCopyOptions | undefined;
}

export type ChooseControlGroup = (
  argv: readonly Arg[],
  repository: GitDirectory | undefined,
) => ControlGroup | undefined;

/**
 * Saves a quarter of the CPU time per byte compared with pipes of 64 KiB. It is not used for every
 * command: all pipes of a user may hold 64 MiB together, and beyond that new ones get a single
 * page.
 */
const BULK_PIPE_BYTES = 256 * 1024;
const DEFAULT_MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** The git program. Only this class starts it; a server has one instance. */
export class Git {
  /** The text after `git version `. */
  readonly version: string;
  readonly capabilities: GitCapabilities;
  readonly binary: string;
  readonly spawner: Spawner;
  readonly #config: readonly ConfigPair[];
  readonly #hidesGitLabReferences: boolean;
  readonly #observer: ProcessObserver | undefined;
  /** Notified of commands that change references and were killed: they may have left locks. */
  onKilled: ((start: ProcessStart) => void) | undefined;
  readonly #environment: GitOptions['environment'];
  readonly #inherited: Readonly<Record<string, string>>;
  readonly #gate: SpawnGate;
  readonly #controlGroup: ChooseControlGroup | undefined;

  private constructor(
    options: GitOptions,
    { binary, inherited }: RunnableGit,
    spawner: Spawner,
    version: string,
    capabilities: GitCapabilities,
  ) {
    this.binary = binary;
    this.#inherited = inherited;
    this.spawner = spawner;
    this.version = version;
    this.capabilities = capabilities;
    this.#config = options.config ?? [];
    this.#hidesGitLabReferences = options.hidesGitLabReferences ?? true;
    this.#observer = options.observer;
    this.#environment = options.environment;
    this.#gate = new SpawnGate(options.admission, options.waits);
    this.#controlGroup = options.controlGroup;
  }

  /**
   * Finds git and determines its version.
   *
   * @throws when there is no git, or one older than {@link MINIMUM_GIT}; the text describes the
   *   requirement.
   */
  static async start(options: GitOptions): Promise<Git> {
    const spawner = options.spawner ?? (await chooseSpawner());
    const found = { binary: findProgram(options.binary), inherited: inheritedEnvironment(process.env) };
    const git = (await privateCopy(found, spawner, options.privateCopy)) ?? found;
    const { binary } = git;
    const output = await askGit(git, 'version', spawner);
    const version = parseGitVersion(output);
    if (version === undefined)
      throw new Error(`${binary} does not look like git: \`git version\` printed ${quote(output)}`);
    if (!isAtLeast(version, MINIMUM_GIT)) {
      const needed = `${MINIMUM_GIT.major}.${MINIMUM_GIT.minor}`;
      throw new Error(
        `unsupported Git version: ${quote(output.slice('git version '.length))} (${binary}); ${needed} ` +
          'or newer is needed',
      );
    }
    return new Git(options, git, spawner, output.slice('git version '.length), capabilitiesOf(version));
  }

  /**
   * Starts a command. The caller ends it: `await using`.
   *
   * @throws {GitalyError} when the command may change references and `hooks` is not set; when the
   *   signal is already aborted (`context canceled`). {SpawnError} when the kernel refuses.
   */
  spawn(command: GitCommand, options: SpawnOptions = {}): GitProcess {
    const { repository, hooks } = options;
    const referenceBackend = repository?.knownReferenceBackend;
    if (SUBCOMMANDS[command.name].updatesReferences && hooks === undefined) {
      throw new GitalyError(
        'UNKNOWN',
        `subcommand ${quote(command.name)}: hook payload is required but not configured`,
      );
    }
    const config = this.settings(command.name, options);
    const argv = this.#argv(command, options, config);
    const watchKill = SUBCOMMANDS[command.name].updatesReferences ? this.#watchKill : undefined;
    const started = startProcess({
      pipeBytes: SUBCOMMANDS[command.name].bulk ? BULK_PIPE_BYTES : undefined,
      maxCpuSeconds: SUBCOMMANDS[command.name].maxCpuSeconds,
      ...options,
      spawner: this.spawner,
      file: this.binary,
      argv,
      env: gitEnvironment({
        inherited: this.#inherited,
        repository,
        env: {
          ...this.#environment?.(command.name),
          ...secretEnvironment(config),
          ...options.env,
          ...(typeof hooks === 'object' ? hooks.env : {}),
        },
        gitProtocol: options.gitProtocol,
      }),
      program: 'git',
      subcommand: command.name,
      repositoryPath: repository?.path,
      controlGroup: this.#controlGroup?.(argv, repository),
      startsNone: STARTS_NONE.has(command.name),
      yields: SUBCOMMANDS[command.name].yields,
      referenceBackend,
      observers: [this.#observer, options.observer, watchKill].filter((each) => each !== undefined),
    });
    this.#gate.started(started);
    return started;
  }

  /** A git that gets SIGKILL, unlike one that gets SIGTERM, does not remove its locks. */
  readonly #watchKill: ProcessObserver = (start) => (stats) => {
    if (stats.exit.signal === 'SIGKILL') this.onKilled?.(start);
  };

  /**
   * Runs a command to its end and returns its output.
   *
   * @throws {GitExitError} when it fails; {GitalyError} RESOURCE_EXHAUSTED when it prints more than
   *   `maxOutputBytes`.
   */
  async run(command: GitCommand, options: RunOptions = {}): Promise<Buffer> {
    const { input, maxOutputBytes = DEFAULT_MAX_OUTPUT_BYTES, ...rest } = options;
    await this.#gate.turn(options.signal);
    const run = this.spawn(command, { ...rest, stdin: input === undefined ? 'ignore' : 'pipe' });
    return await collectOutput(run, { maxBytes: maxOutputBytes, ...(input === undefined ? {} : { input }) });
  }

  /**
   * Resolves when it is the caller's turn to {@link spawn}, so that a burst of requests does not
   * delay other callers. {@link run} calls it itself.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED when too many wait; CANCELLED or DEADLINE_EXCEEDED
   *   when aborted while waiting.
   */
  async spawnTurn(signal?: AbortSignal): Promise<void> {
    await this.#gate.turn(signal);
  }

  /**
   * Returns the settings that {@link spawn} passes to a command, in addition to those in the
   * repository. A later one wins. @throws as `spawn` for keys of the wrong shape.
   */
  settings(command: SubcommandName, { repository, config = [], hooks }: SpawnOptions): ConfigPair[] {
    const hooksPath =
      hooks === undefined
        ? []
        : [{ key: 'core.hooksPath', value: hooks === 'disabled' ? '/dev/null' : hooks.directory }];
    return configOf({
      command,
      objectFormat: this.capabilities.attrTree ? repository?.knownObjectFormat : undefined,
      packReuseMulti: this.capabilities.packReuseMulti,
      ignoresCommitGraph: repository?.hasDamagedCommitGraph === true,
      hidesGitLabReferences: this.#hidesGitLabReferences,
      call: [...config, ...hooksPath],
      operator: this.#config,
    });
  }

  #argv(command: GitCommand, { repository, worktree }: SpawnOptions, config: readonly ConfigPair[]): Arg[] {
    const argv: Arg[] = ['git'];
    if (worktree !== undefined) argv.push('-C', worktree);
    else if (repository !== undefined) argv.push('--git-dir', repository.path);
    for (const { key, value, secret } of config) if (secret !== true) argv.push('-c', `${key}=${value}`);
    if (command.literalPathspecs) argv.push('--literal-pathspecs');
    for (const word of argv) checkNul(command.name, word);
    return argv.concat(command.words);
  }
}
