import { GitalyError } from '#base/gitaly-error';
import { gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { parseOid } from '#git/names/object-id';
import type { Repository } from '#storage/repository';

const LF = 0x0a;
const HEADS = Buffer.from('refs/heads');

/**
 * Returns the output of `git rev-parse` for a revision, which may be several objects. A name that
 * git finds ambiguous is taken as a branch: the first one whose name ends with it.
 *
 * @throws {GitalyError} without a code: `exit status 128: <first line of git's message>`,
 * `branch x not found`.
 */
export async function lookUpRevision(
  repository: Repository,
  revision: Buffer,
  signal: AbortSignal,
): Promise<string> {
  // git prints a full id as it is, also without such an object.
  const oid = parseOid(revision.toString('latin1'), repository.objectFormat);
  if (oid !== undefined) return oid;
  const found =
    repository.refs.resolveUnambiguousNow(revision.toString('latin1'))?.oid ??
    (await revParse(repository, revision, signal));
  if (found !== undefined) return found;
  const branch = await firstBranch(repository, revision, signal);
  const ofBranch = branch && (await revParse(repository, branch, signal));
  if (ofBranch === undefined) throw new GitalyError('UNKNOWN', `branch ${revision} not found`);
  return ofBranch;
}

/** @returns `undefined` for an ambiguous name. */
async function revParse(
  repository: Repository,
  revision: Buffer,
  signal: AbortSignal,
): Promise<string | undefined> {
  await repository.spawnTurn(signal);
  await using run = repository.spawn(gitCommand('rev-parse', { revisions: [revision] }), { signal });
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of run.stdout) chunks.push(chunk);
    await run.succeeded();
  } catch (error) {
    if (signal.aborted || !(error instanceof GitExitError)) throw error;
    throw new GitalyError('UNKNOWN', `${error.message}: ${error.stderr.split('\n', 1)[0]}`, { cause: error });
  }
  if (run.stderrHead.toString('latin1').endsWith(`refname '${revision.toString('latin1')}' is ambiguous.\n`))
    return undefined;
  const output = Buffer.concat(chunks);
  return output.toString('latin1', 0, output.at(-1) === LF ? -1 + output.length : output.length);
}

async function firstBranch(
  repository: Repository,
  revision: Buffer,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const pattern = Buffer.concat([Buffer.from('**/'), revision]);
  for await (const refs of repository.refs.list({ patterns: [pattern] }, { signal })) {
    const branch = refs.find(({ name }) => name.subarray(0, HEADS.length).equals(HEADS));
    if (branch !== undefined) return branch.name;
  }
  return undefined;
}
