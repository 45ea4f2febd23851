import { GitalyError } from '#base/gitaly-error';
import { Sha1Xor } from '#base/sha1-xor';
import { flag, gitCommand } from '#git/command/git-command';
import { FallBackToGit } from '#git/command/in-process';
import { outputLines } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import { isChecksumLine } from '#git/refs/storage/checksum-lines';
import type { Repository } from '#storage/repository';

/** Checksum of a repository without relevant references, and of one whose list is broken. */
const NOTHING = '0'.repeat(40);
const EMPTY_SUM = Buffer.alloc(20);
/** Longer lines are an error. @see Gitaly: bufio.MaxScanTokenSize */
const MAX_LINE_BYTES = 64 * 1024;
const OID_END = 0x20;

interface Options {
  readonly signal: AbortSignal;
}

/**
 * Returns the checksum of a repository's references, by which the nodes of a cluster compare their
 * copies: the exclusive or of the SHA-1 hashes of the lines of `git show-ref --head` for HEAD,
 * branches, tags and four internal namespaces, as hex digits without leading zero bytes.
 *
 * @throws {GitalyError} DATA_LOSS `not a git repository '<path>'`.
 */
export async function calculateChecksum(repository: Repository, options: Options): Promise<string> {
  const sum = await repository.inProcess.attempt(
    'checksum',
    async () => {
      const found = await repository.refs.checksum(options);
      if (found.equals(EMPTY_SUM)) throw new FallBackToGit('no reference counts');
      return found;
    },
    () => askGit(repository, options),
  );
  if (sum !== undefined && !sum.equals(EMPTY_SUM)) return withoutLeadingZeros(sum);
  if (await isBare(repository, options)) return NOTHING;
  throw new GitalyError('DATA_LOSS', `not a git repository '${repository.path}'`);
}

/** Returns the sum of the lines that git prints; `undefined` when git fails. */
async function askGit(repository: Repository, { signal }: Options): Promise<Buffer | undefined> {
  const command = gitCommand('show-ref', { options: [flag('--head')] });
  const xor = new Sha1Xor();
  try {
    for await (const lines of outputLines(repository, command, { signal, maxLineBytes: MAX_LINE_BYTES })) {
      for (const line of lines)
        if (isChecksumLine(line.toString('latin1', line.indexOf(OID_END) + 1))) xor.add(line);
    }
  } catch (error) {
    if (!(error instanceof GitExitError) || signal.aborted) throw error;
    return undefined;
  }
  return xor.digest();
}

async function isBare(repository: Repository, { signal }: Options): Promise<boolean> {
  const command = gitCommand('rev-parse', { options: [flag('--is-bare-repository')] });
  try {
    return (await repository.run(command, { signal })).toString().trimEnd() === 'true';
  } catch (error) {
    if (!(error instanceof GitExitError) || signal.aborted) throw error;
    return false;
  }
}

function withoutLeadingZeros(sum: Buffer): string {
  const start = sum.findIndex((byte) => byte !== 0);
  return sum.toString('hex', Math.max(0, start));
}
