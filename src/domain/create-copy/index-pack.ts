import { copyStream } from '#base/streams/copy-stream';
import { collectOutput } from '#git/command/collect-output';
import type { Git } from '#git/command/git';
import { flag, type GitCommand, gitCommand } from '#git/command/git-command';
import type { GitDirectory } from '#git/repository-files/git-directory';

export interface AddPackOptions {
  readonly repository: GitDirectory;
  readonly pack: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

const OUTPUT_BYTES = 1024;
const INDEX = gitCommand('index-pack', { options: ['--stdin', '--fix-thin'].map(flag) });
const UNPACK = gitCommand('unpack-objects', { options: [flag('-q')] });

/**
 * Adds the objects of a pack to a repository while it arrives.
 *
 * @throws {GitExitError} for a pack that git refuses; errors of `pack`.
 */
export async function indexPack(git: Git, options: AddPackOptions): Promise<void> {
  await addPack(git, INDEX, options);
}

/**
 * Adds the objects of a small pack to a repository as loose objects.
 *
 * @throws {GitExitError} for a pack that git refuses; errors of `pack`.
 */
export async function unpackObjects(git: Git, options: AddPackOptions): Promise<void> {
  await addPack(git, UNPACK, options);
}

async function addPack(
  git: Git,
  command: GitCommand,
  { pack, repository, signal }: AddPackOptions,
): Promise<void> {
  await git.spawnTurn(signal);
  await using process = git.spawn(command, { repository, stdin: 'pipe', signal });
  const source = new Source(pack);
  const written = copyStream(source, process.stdin).then(
    () => void process.stdin.end(),
    () => process.kill(), // it would wait for the rest
  );
  const [exit] = await Promise.allSettled([collectOutput(process, { maxBytes: OUTPUT_BYTES }), written]);
  if (source.error !== undefined) throw source.error;
  // Also the reason for a pipe that broke: git stops reading a pack that it refuses.
  if (exit.status === 'rejected') throw exit.reason;
}

/** Records an error of a source, as opposed to an error of its reader. */
class Source implements AsyncIterable<Uint8Array> {
  readonly #pieces: AsyncIterable<Uint8Array>;
  error: unknown;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#pieces;
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
}
