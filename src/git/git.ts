import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, isAbsolute, join, resolve } from 'node:path';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { capabilitiesOf, type GitCapabilities, isAtLeast, MINIMUM_GIT, parseGitVersion } from './capabilities.ts';
import { SUBCOMMANDS, type SubcommandName } from './command/allowed.ts';
import { collectOutput } from './command/collect-output.ts';
import { type ConfigPair, configOf, secretEnvironment } from './command/config.ts';
import { gitEnvironment, inheritedEnvironment } from './command/environment.ts';
import { checkNul, flag, type GitCommand, gitCommand } from './command/git-command.ts';
import type { GitProcess } from './command/git-process.ts';
import { ProcessPool } from './command/process-pool.ts';
import { SpawnGate } from './command/spawn-gate.ts';
import { chooseSpawner } from './command/spawner/choose-spawner.ts';
import type { Arg, Spawner } from './command/spawner/spawner.ts';
import { type ProcessObserver, type ProcessOptions, startProcess } from './command/start-process.ts';
import { patchesCommand } from './diff/commands.ts';
import { HEX_LENGTH } from './diff/raw-line.ts';
import { CommitNodeCache, type CommitNodes } from './history/commit-nodes.ts';
import { ObjectFormats, type ReferenceBackend, type RepositoryFormat } from './object-format.ts';
import { CatFilePool } from './objects/cat-file-pool.ts';
import { MailmapCache } from './objects/mailmap-cache.ts';
import { ObjectReader } from './objects/object-reader.ts';
import { createRefCaches } from './refs/ref-caches.ts';
import { RefReader } from './refs/ref-reader.ts';
import type { GitRepository } from './repository.ts';

/**
 * The hooks of a command that may change references: `disabled`, or the directory that git finds them in and the variables that
 * they need.
 */
export type HookSetup = 'disabled' | { readonly directory: string; readonly env: Readonly<Record<string, Arg>> };

export interface GitOptions {
  /** Path of the git program, or a name to look for on the PATH. */
  readonly binary: string;
  /** The operator's `[[git.config]]`: wins over everything. */
  readonly config?: readonly ConfigPair[];
  readonly spawner?: Spawner;
  /** Is told of every process, for metrics and logs. */
  readonly observer?: ProcessObserver;
  /** Most cat-file processes kept for later use. Default 100 (Gitaly: `git.catfile_cache_size`). */
  readonly catFileProcesses?: number;
  /** How long one is kept unused. Default 10 s. */
  readonly catFileIdleMs?: number;
}

export interface SpawnOptions extends ProcessOptions {
  /** Where the command runs; without one it runs outside any repository. */
  readonly repository?: GitRepository | undefined;
  /** Runs in this working tree (`-C`) instead of on the bare repository (`--git-dir`). */
  readonly worktree?: string | undefined;
  readonly env?: Readonly<Record<string, Arg>>;
  /** After the command's own settings, before the operator's. */
  readonly config?: readonly ConfigPair[];
  readonly gitProtocol?: string | undefined;
  /** Required for commands that may change references. */
  readonly hooks?: HookSetup;
  /** Is told of this process, beside the observer of all. */
  readonly observer?: ProcessObserver;
}

export interface RunOptions extends Omit<SpawnOptions, 'stdin' | 'stdout'> {
  /** For standard input. */
  readonly input?: Uint8Array | string;
  /** More output than this is an error. Default 16 MiB. */
  readonly maxOutputBytes?: number;
}

/**
 * A quarter less CPU per byte than with pipes of 64 KiB. Not for every command: a user's pipes together may hold 64 MiB, beyond that
 * the kernel gives new ones a single page.
 */
const BULK_PIPE_BYTES = 256 * 1024;
/** One takes some 4 MiB. */
const UPDATE_REFS = { maxIdle: 64, maxIdlePerRepository: 16 };
/** One takes up to 20 MiB. Fewer than run at once would be started and ended all the time. */
const TREE_DIFFS = { maxIdle: 16, maxIdlePerRepository: 16 };
/** Of a process that is kept; git's 96 MiB are for one that ends. With much less it takes twice as long. */
const KEPT_DELTA_BASES = '16m';
const DEFAULT_MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** git, the program: the only place that starts it. One per server. */
export class Git implements AsyncDisposable {
  /** The text after `git version `. */
  readonly version: string;
  readonly capabilities: GitCapabilities;
  readonly binary: string;
  readonly spawner: Spawner;
  /** The shared cat-file processes; public for its counts. */
  readonly catFiles: CatFilePool;
  /** Processes that wait for the next change of a repository's references; used by `RefTransaction`. */
  readonly updateRefs: ProcessPool;
  /** Processes that wait for the next two trees to compare, by the tree whose attributes they heed; used by `patchOutput`. */
  readonly treeDiffs: ProcessPool;
  readonly #mailmaps = new MailmapCache();
  readonly #config: readonly ConfigPair[];
  readonly #observer: ProcessObserver | undefined;
  readonly #inherited = inheritedEnvironment(process.env);
  readonly #gate = new SpawnGate();
  readonly #formats = new ObjectFormats();
  readonly #refCaches = createRefCaches();
  readonly #commitNodes = new CommitNodeCache();

  private constructor(options: GitOptions, binary: string, spawner: Spawner, version: string, capabilities: GitCapabilities) {
    this.binary = binary;
    this.spawner = spawner;
    this.version = version;
    this.capabilities = capabilities;
    this.#config = options.config ?? [];
    this.#observer = options.observer;
    this.catFiles = new CatFilePool({
      start: (repository, signal) => this.#startCatFile(repository, signal),
      delimiter: capabilities.catFileNul ? 0 : 10,
      maxProcesses: options.catFileProcesses ?? 100,
      idleMs: options.catFileIdleMs ?? 10_000,
    });
    this.updateRefs = new ProcessPool((repository) => this.#startUpdateRef(repository), UPDATE_REFS);
    this.treeDiffs = new ProcessPool((repository, attributes) => this.#startTreeDiff(repository, attributes), TREE_DIFFS);
  }

  /**
   * Finds git, asks it for its version, and makes it ready for use.
   *
   * @throws when there is no git, or one older than {@link MINIMUM_GIT}; the text says what is needed.
   */
  static async start(options: GitOptions): Promise<Git> {
    const binary = findProgram(options.binary);
    const spawner = options.spawner ?? (await chooseSpawner());
    const probe = startProcess({
      spawner,
      file: binary,
      argv: [basename(binary), 'version'],
      env: gitEnvironment({ inherited: inheritedEnvironment(process.env) }),
      program: 'git',
      subcommand: 'version',
      repositoryPath: undefined,
      observers: [],
    });
    const output = (await collectOutput(probe, { maxBytes: 4096 })).toString().trim();
    const version = parseGitVersion(output);
    if (version === undefined) throw new Error(`${binary} does not look like git: \`git version\` printed ${quote(output)}`);
    if (!isAtLeast(version, MINIMUM_GIT)) {
      const needed = `${MINIMUM_GIT.major}.${MINIMUM_GIT.minor}`;
      throw new Error(
        `unsupported Git version: ${quote(output.slice('git version '.length))} (${binary}); ${needed} or newer is needed`,
      );
    }
    return new Git(options, binary, spawner, output.slice('git version '.length), capabilitiesOf(version));
  }

  /**
   * Starts a command. The caller ends it: `await using`.
   *
   * @throws {GitalyError} when the command may change references and nothing was said about hooks; when the signal is already
   *   aborted (`context canceled`). {SpawnError} when the kernel refuses.
   */
  spawn(command: GitCommand, options: SpawnOptions = {}): GitProcess {
    const { repository, hooks } = options;
    if (SUBCOMMANDS[command.name].updatesReferences && hooks === undefined) {
      throw new GitalyError('UNKNOWN', `subcommand ${quote(command.name)}: hook payload is required but not configured`);
    }
    const config = this.settings(command.name, options);
    const argv = this.#argv(command, options, config);
    return startProcess({
      pipeBytes: SUBCOMMANDS[command.name].bulk ? BULK_PIPE_BYTES : undefined,
      ...options,
      spawner: this.spawner,
      file: this.binary,
      argv,
      env: gitEnvironment({
        inherited: this.#inherited,
        repository,
        env: { ...secretEnvironment(config), ...options.env, ...(typeof hooks === 'object' ? hooks.env : {}) },
        gitProtocol: options.gitProtocol,
      }),
      program: 'git',
      subcommand: command.name,
      repositoryPath: repository?.path,
      observers: [this.#observer, options.observer].filter((observer) => observer !== undefined),
    });
  }

  /**
   * Runs a command to its end and gives what it printed.
   *
   * @throws {GitExitError} when it fails; {GitalyError} RESOURCE_EXHAUSTED when it prints more than `maxOutputBytes`.
   */
  async run(command: GitCommand, options: RunOptions = {}): Promise<Buffer> {
    const { input, maxOutputBytes = DEFAULT_MAX_OUTPUT_BYTES, ...rest } = options;
    await this.#gate.turn(options.signal);
    const run = this.spawn(command, { ...rest, stdin: input === undefined ? 'ignore' : 'pipe' });
    return await collectOutput(run, { maxBytes: maxOutputBytes, ...(input === undefined ? {} : { input }) });
  }

  /** Reads the objects of a repository. */
  objects(repository: GitRepository): ObjectReader {
    return new ObjectReader(this, this.catFiles, this.#mailmaps, repository);
  }

  /** Reads the references of a repository. */
  refs(repository: GitRepository): RefReader {
    return new RefReader(this, this.#refCaches, repository);
  }

  /** The shape of a repository's history. */
  commitNodes(repository: GitRepository): CommitNodes {
    return this.#commitNodes.of(repository, this.objects(repository));
  }

  /** What a repository's `config` file says of it: the same object for as long as the file is the same. @throws as {@link objectFormat}. */
  repositoryFormat(repository: GitRepository): RepositoryFormat {
    return this.#formats.format(repository);
  }

  /** How a repository keeps its references. @throws as {@link objectFormat} when its config file cannot be read. */
  referenceBackend(repository: GitRepository): ReferenceBackend {
    return this.#formats.format(repository).referenceBackend;
  }

  /**
   * The hash a repository uses, from its `config` file.
   *
   * @throws {Error} `open: open <path>/config: no such file or directory`.
   */
  objectFormat(repository: GitRepository): 'sha1' | 'sha256' {
    return this.#formats.get(repository);
  }

  /** Forgets what is kept about a repository (it was removed, or moved). */
  forget(repository: GitRepository): void {
    this.#formats.forget(repository);
    this.#refCaches.packed.forget(repository.path);
    this.#refCaches.lines.forget(repository);
    this.#commitNodes.forget(repository);
    this.catFiles.forget(repository);
    this.updateRefs.forget(repository);
    this.treeDiffs.forget(repository);
  }

  /** Ends what reads a repository with its present object directories: they are about to go. */
  release(repository: GitRepository): void {
    this.catFiles.release(repository);
    this.treeDiffs.forget(repository);
  }

  /**
   * Resolves when it is the caller's turn to {@link spawn}, so that a burst of requests does not hold the event loop. {@link run}
   * does so by itself.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED when too many wait; CANCELLED or DEADLINE_EXCEEDED when aborted while waiting.
   */
  async spawnTurn(signal?: AbortSignal): Promise<void> {
    await this.#gate.turn(signal);
  }

  /** Ends everything that runs in the background, and resolves when it is gone. */
  async close(): Promise<void> {
    await Promise.all([this.catFiles.close(), this.updateRefs.close(), this.treeDiffs.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #startCatFile(repository: GitRepository, signal: AbortSignal | undefined): GitProcess {
    const options = [flag('--batch-command'), flag('--buffer')];
    if (this.capabilities.catFileNul) options.push(flag('-Z'));
    return this.spawn(gitCommand('cat-file', { options }), { repository, stdin: 'pipe', signal });
  }

  #startUpdateRef(repository: GitRepository): GitProcess {
    const command = gitCommand('update-ref', { options: [flag('-z'), flag('--stdin')] });
    return this.spawn(command, { repository, hooks: 'disabled', stdin: 'pipe' });
  }

  #startTreeDiff(repository: GitRepository, attributeTree: string): GitProcess {
    const command = patchesCommand(HEX_LENGTH[this.objectFormat(repository)]);
    const config = [
      { key: 'attr.tree', value: attributeTree },
      { key: 'core.deltaBaseCacheLimit', value: KEPT_DELTA_BASES },
    ];
    return this.spawn(command, { repository, config, stdin: 'pipe' });
  }

  /** The settings that {@link spawn} starts a command with, beside those in the repository: a later one wins. @throws as `spawn` does for keys of the wrong shape. */
  settings(command: SubcommandName, { repository, config = [], hooks }: SpawnOptions): ConfigPair[] {
    const hooksPath =
      hooks === undefined ? [] : [{ key: 'core.hooksPath', value: hooks === 'disabled' ? '/dev/null' : hooks.directory }];
    return configOf({
      command,
      objectFormat: repository !== undefined && this.capabilities.attrTree ? this.#formats.find(repository) : undefined,
      packReuseMulti: this.capabilities.packReuseMulti,
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
    argv.push(...command.words);
    return argv;
  }
}

/** The absolute path of a program: as given, or the first executable file of that name on the PATH. */
function findProgram(name: string): string {
  if (isAbsolute(name) || name.includes('/')) return resolve(name);
  const found = (process.env.PATH ?? '').split(delimiter).find((directory) => isExecutable(join(directory, name)));
  if (found === undefined) throw new Error(`git was not found: there is no ${quote(name)} on the PATH`);
  return join(found, name);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // Not there, or not for us: the search goes on.
    return false;
  }
}
