import { mkdtemp, rm } from 'node:fs/promises';
import { mapInTurns } from '#base/async/loop-turns';
import { flag, gitCommand } from '../command/git-command.ts';
import type { GitProcess } from '../command/process/git-process.ts';
import { formatCommit } from '../objects/write/format-commit.ts';
import { writeScratchObject } from '../objects/write/scratch-object.ts';
import type { GitRepository } from '../repository.ts';
import type { ThreeTrees } from './merge-in-process.ts';
import { type MergedTree, WITHOUT_REPLACEMENTS } from './merge-tree.ts';
import { parseMergeTree } from './parse-merge-tree.ts';

/**
 * Three trees, and the ids that name the sides for people: files that must be moved away get their
 * names (`thing~<id>`).
 */
export interface LabelledTrees extends ThreeTrees {
  readonly labels: { readonly ours: string; readonly theirs: string };
}

interface StartedMerges {
  readonly process: GitProcess;
  /** Object directory of the commits that replace trees; `undefined` if git needs none. */
  readonly standIns: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Limit of a field, for long messages; paths are shorter. */
const MAX_FIELD_BYTES = 16 * 1024 * 1024;

/** Type and text of a message, after its paths. */
const MESSAGE_FIELDS = 2;

const CLEAN = Buffer.from('1');
const NUL = Buffer.of(0);

/**
 * Merges trees with given bases, one after the other, with one `git merge-tree --stdin`. Trees and
 * files are written to the repository's object directory; they are not flushed to disk.
 *
 *     await using merges = await TreeMerges.start(git, quarantine, { signal });
 *     const { isClean, treeOid } = await merges.merge({ base, ours, theirs, labels });
 *
 * A git before 2.45 accepts only commits, so it gets commits with these trees from a temporary
 * object directory.
 */
export class TreeMerges implements AsyncDisposable {
  readonly #repository: GitRepository;
  readonly #process: GitProcess;
  readonly #signal: AbortSignal | undefined;
  readonly #output: AsyncIterator<Buffer>;
  /** Object directory of the commits that replace trees; `undefined` if git needs none. */
  readonly #standIns: string | undefined;
  #pending: Buffer = Buffer.alloc(0);
  /** True if messages of the last response have not been read yet. */
  #hasMessages = false;

  private constructor(repository: GitRepository, { process, standIns, signal }: StartedMerges) {
    this.#repository = repository;
    this.#process = process;
    this.#signal = signal;
    this.#output = process.stdout[Symbol.asyncIterator]();
    this.#standIns = standIns;
  }

  static async start(
    repository: GitRepository,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<TreeMerges> {
    const standIns = repository.git.capabilities.mergeTreeOfTrees
      ? undefined
      : await mkdtemp(`${repository.objectDirectory}/merge-`);
    try {
      const words = ['--write-tree', '--stdin', '--messages'];
      const command = gitCommand('merge-tree', { options: words.map(flag) });
      await repository.spawnTurn(signal);
      const options = { signal, stdin: 'pipe', env: WITHOUT_REPLACEMENTS } as const;
      const process = withAlternate(repository, standIns).spawn(command, options);
      return new TreeMerges(repository, { process, standIns, signal });
    } catch (error) {
      if (standIns !== undefined) await rm(standIns, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * Applies the changes from the base to theirs to ours. Required objects must be on disk already.
   *
   * @throws {GitExitError} when git fails; {GitalyError} `couldn't parse merge tree output: …`.
   */
  async merge({ base, ours, theirs, labels }: LabelledTrees): Promise<MergedTree> {
    const [line, sides] = await this.#question(base, ours, theirs);
    this.#process.stdin.write(line);
    const { isClean, output } = await this.#nextAnswer();
    const merged = await parseMergeTree(output, this.#signal);
    const rename = (path: Buffer): Buffer => {
      const name = path.toString('latin1');
      const renamed = name
        .replace(`~${sides[0]}`, `~${labels.ours}`)
        .replace(`~${sides[1]}`, `~${labels.theirs}`);
      return renamed === name ? path : Buffer.from(renamed, 'latin1');
    };
    return {
      ...merged,
      isClean,
      conflicts: await mapInTurns(
        merged.conflicts,
        (entry) => ({ ...entry, path: rename(entry.path) }),
        this.#signal,
      ),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    if (this.#standIns !== undefined) await rm(this.#standIns, { recursive: true, force: true });
  }

  /** Returns the request to git, and the ids by which it names the sides. */
  async #question(base: string, ours: string, theirs: string): Promise<[string, readonly [string, string]]> {
    if (this.#standIns === undefined) return [`${base} -- ${ours} ${theirs}\n`, [ours, theirs]];
    const root = await this.#standIn(this.#standIns, base, []);
    const sides = [
      await this.#standIn(this.#standIns, ours, [root]),
      await this.#standIn(this.#standIns, theirs, [root]),
    ] as const;
    return [`${sides.join(' ')}\n`, sides];
  }

  async #standIn(directory: string, treeOid: string, parentOids: readonly string[]): Promise<string> {
    const nobody = Buffer.from('nobody <> 0 +0000');
    const data = formatCommit({
      treeOid,
      parentOids,
      author: nobody,
      committer: nobody,
      message: Buffer.alloc(0),
    });
    return await writeScratchObject(directory, { type: 'commit', data }, this.#repository.objectFormat);
  }

  /**
   * Returns the next response up to its list of conflicts: `<1 for clean>\0<tree>\0<entry>\0…\0`.
   * Messages after it make git flush the response at once; they end with an empty field that comes
   * with the next response, and are ignored.
   */
  async #nextAnswer(): Promise<{ isClean: boolean; output: Buffer }> {
    while (this.#hasMessages) {
      const count = (await this.#nextField()).toString('latin1');
      this.#hasMessages = count !== '';
      if (!/^\d{0,6}$/.test(count)) throw new Error('output of merge-tree makes no sense');
      for (let field = 0; this.#hasMessages && field < Number(count) + MESSAGE_FIELDS; field++)
        await this.#nextField();
    }
    const status = await this.#nextField();
    const fields: Buffer[] = [];
    do fields.push(await this.#nextField(), NUL);
    while (fields.at(-2)?.length !== 0);
    this.#hasMessages = true;
    return { isClean: status.equals(CLEAN), output: Buffer.concat(fields) };
  }

  async #nextField(): Promise<Buffer> {
    for (;;) {
      const end = this.#pending.indexOf(0);
      if (end !== -1) {
        const field = this.#pending.subarray(0, end);
        this.#pending = this.#pending.subarray(end + 1);
        return field;
      }
      if (this.#pending.length > MAX_FIELD_BYTES) throw new Error('output of merge-tree makes no sense');
      const chunk = await this.#output.next().catch((error: unknown) => {
        // An abort closes the stream under the reader; the exit of the process describes it better.
        if (!this.#process.isEnding) throw error;
        return { done: true, value: undefined } as const;
      });
      if (chunk.done === true) throw await this.#failure();
      this.#pending = Buffer.concat([this.#pending, chunk.value]);
    }
  }

  async #failure(): Promise<unknown> {
    return this.#process.failure(await this.#process.exited);
  }
}

function withAlternate(repository: GitRepository, directory: string | undefined): GitRepository {
  if (directory === undefined) return repository;
  return repository.withObjectDirectories({
    alternateObjectDirectories: [directory, ...repository.alternateObjectDirectories],
  });
}
