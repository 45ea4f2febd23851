import { GitalyError, messageOf, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { lineBatches } from '#base/streams/line-batches';
import type { ConfigPair } from '#git/command/config';
import { flag, gitCommand } from '#git/command/git-command';
import { outputBytes } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import { isAncestor } from '#git/history/graph/is-ancestor';
import type { Repository } from '#storage/repository';
import { type Outgoing, type OutgoingRemote, prepareOutgoing } from '../url/outgoing-remote.ts';
import { withoutCredentials } from '../url/remote-url.ts';
import { runOutgoing } from '../url/run-outgoing.ts';
import { planMirror } from './mirror-plan.ts';

export interface UpdateMirrorOptions {
  readonly remote: OutgoingRemote;
  /** Names of branches with `*`; none for all branches. */
  readonly patterns: readonly string[];
  readonly keepsDivergent: boolean;
  readonly signal: AbortSignal;
}

/** References of one push, as in Gitaly: a remote that refuses one does not stop all others. */
const BATCH = 10;
/** Limit of the references of each side, some 200 bytes each. */
const MAX_REFERENCES = 5_000_000;
const SYMBOLIC = 'ref: ';

/**
 * Pushes branches and tags to a mirror.
 *
 * @returns the names of references that were left because the mirror has other commits.
 * @throws {GitalyError} INTERNAL `get remote references: …`, `push to mirror: …`.
 */
export async function updateMirror(
  repository: Repository,
  options: UpdateMirrorOptions,
): Promise<readonly string[]> {
  const { keepsDivergent, signal } = options;
  await using outgoing = await prepareOutgoing(options.remote, repository.storage).catch((error: unknown) => {
    throw new GitalyError('INTERNAL', messageOf(error), { cause: error });
  });
  const remote = await remoteReferences(repository, outgoing, signal);
  const local = await localReferences(repository, signal);
  const head = await repository.refs.headTarget({ signal }).catch(wrapped('get default branch'));
  const { refspecs, divergent } = await planMirror({
    local,
    remote,
    defaultBranch: head.toString('latin1'),
    keepsDivergent,
    isWanted: matchMirrored(options.patterns),
    isAncestor: (ancestor, descendant) => isKnownAncestor(repository, { ancestor, descendant }, signal),
  });
  for (let start = 0; start < refspecs.length; start += BATCH)
    await push(repository, outgoing, refspecs.slice(start, start + BATCH), options);
  return divergent;
}

async function isKnownAncestor(
  repository: Repository,
  question: { readonly ancestor: string; readonly descendant: string },
  signal: AbortSignal,
): Promise<boolean> {
  if ((await repository.objects.info(question.ancestor, { signal })) === undefined) return false;
  return await isAncestor(repository, question, { signal });
}

function remoteUrl({ url }: Outgoing): ConfigPair {
  return { key: 'remote.inmemory.url', value: url, secret: true };
}

async function remoteReferences(
  repository: Repository,
  outgoing: Outgoing,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const command = gitCommand('ls-remote', {
    options: [flag('--refs'), flag('--symref')],
    args: ['inmemory', 'refs/heads/*', 'refs/tags/*'],
  });
  const run = { signal, config: [...outgoing.config, remoteUrl(outgoing)], env: outgoing.env };
  try {
    return await references(outputBytes(repository, command, run));
  } catch (error) {
    if (!(error instanceof GitExitError)) throw wrap(error, 'get remote references');
    throw failed('get remote references: create git ls-remote', error);
  }
}

async function localReferences(repository: Repository, signal: AbortSignal): Promise<Map<string, string>> {
  const symbolic = `%(if)%(symref)%(then)${SYMBOLIC}%(symref)%(else)%(objectname)%(end)`;
  const command = gitCommand('for-each-ref', {
    options: [flag(`--format=${symbolic}%09%(refname)`)],
    args: ['refs/heads/', 'refs/tags/'],
  });
  return await references(outputBytes(repository, command, { signal }));
}

/** Reads lines `<object id>\t<name>`. Symbolic references are left out. */
async function references(output: AsyncIterable<Uint8Array>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const symbolic = new Set<string>();
  for await (const lines of lineBatches(output))
    for (const line of lines) {
      const [oid = '', name = ''] = line.toString('latin1').split('\t');
      if (found.size === MAX_REFERENCES) throw new GitalyError('RESOURCE_EXHAUSTED', 'too many references');
      if (oid.startsWith(SYMBOLIC)) symbolic.add(name);
      else if (!symbolic.has(name)) found.set(name, oid);
    }
  return found;
}

async function push(
  repository: Repository,
  outgoing: Outgoing,
  refspecs: readonly string[],
  { keepsDivergent, signal }: UpdateMirrorOptions,
): Promise<void> {
  const command = gitCommand('push', {
    options: keepsDivergent ? [] : [flag('--force')],
    args: ['inmemory', ...refspecs.map((refspec) => Buffer.from(refspec, 'latin1'))],
  });
  const config = [remoteUrl(outgoing)];
  const run = { outgoing, signal, writesTo: undefined, config };
  const { failure } = await runOutgoing(repository, command, run);
  if (failure !== undefined) throw failed('push to mirror: git push', failure);
}

function failed(prefix: string, failure: GitExitError): GitalyError {
  const stderr = withoutCredentials(failure.stderr);
  return new GitalyError('INTERNAL', `${prefix}: ${failure.message}, stderr: ${quote(stderr)}`, {
    cause: failure,
  });
}

const BRANCHES = 'refs/heads/';
const TAGS = 'refs/tags/';

/**
 * Returns a test of full reference names: all tags, and the branches that match a pattern, in which
 * `*` represents any text. Without patterns all branches match.
 */
export function matchMirrored(patterns: readonly string[]): (name: string) => boolean {
  const tests = patterns.map(matchStars);
  return (name) => {
    if (name.startsWith(TAGS)) return true;
    if (!name.startsWith(BRANCHES)) return false;
    const branch = name.slice(BRANCHES.length);
    return tests.length === 0 || tests.some((test) => test(branch));
  };
}

/** Compiles a pattern to a test whose time is proportional to the lengths. */
function matchStars(pattern: string): (text: string) => boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return (text) => text === pattern;
  return (text) => {
    if (!text.startsWith(first) || text.length < first.length + last.length) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const part of others) {
      const found = text.indexOf(part, at);
      if (found === -1 || found + part.length > end) return false;
      at = found + part.length;
    }
    return text.endsWith(last);
  };
}
