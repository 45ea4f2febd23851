import { eachInTurn } from '#base/async/loop-turns';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { lastCommits } from '#git/history/last-commits';
import { type ListedEntry, listDirectory } from '#git/history/list-directory';
import { requireRevision } from '#services/convert/request/revision';
import { type CommitMessage, toCommitMessage } from '#services/convert/response/commit';
import type { Handlers } from '../dependencies.ts';
import { readNamed } from '../lookup/read-named.ts';

const COMMITS_PER_MESSAGE = 10;
const SLASH = 0x2f;
/** Entries in the order of the response. */
const TYPES = ['tree', 'blob', 'commit'];
/** Characters that make a path a pattern, which `git last-modified` does not support. */
const PATTERN = /[*?[]/;

interface CommitForTree {
  readonly pathBytes: Buffer;
  readonly commit: CommitMessage;
}

/**
 * Finds the newest commit for each entry of a directory, ten a message, in the order directories,
 * files, submodules.
 */
export const listLastCommitsForTree: Handlers['listLastCommitsForTree'] = async function* (
  request,
  context,
  deps,
) {
  const repository = deps.storages.open(request.repository);
  requireRevision(Buffer.from(request.revision));
  if (request.offset < 0) throw invalidArgument('offset negative');
  if (request.limit < 0) throw invalidArgument('limit negative');

  const { revision, offset, limit } = request;
  const { signal } = context;
  const isRoot = request.path.length === 0 || (request.path.length === 1 && request.path[0] === SLASH);
  const path = isRoot ? Buffer.from('.') : request.path;
  const literalPathspecs = request.globalOptions?.literalPathspecs ?? false;
  const all = await listDirectory(repository, { revision, path, literalPathspecs }, { signal }).catch(
    async (error: unknown) => {
      const isBlob =
        (await repository.objects.info(`${revision}^{blob}`, { signal }).catch(() => undefined)) !==
        undefined;
      throw isBlob ? withoutHistory() : error;
    },
  );
  const entries = (await sorted(all)).slice(offset, offset + limit);
  const [first] = entries;
  if (first === undefined) return;

  const start = await repository.objects.info(`${revision}^{commit}`, { signal });
  if (start === undefined) throw withoutHistory();
  if (!literalPathspecs && entries.some((entry) => PATTERN.test(entry.path.toString('latin1')))) {
    throw new GitalyError('INTERNAL', 'exit status 128');
  }
  const directory = first.path.subarray(0, Math.max(0, first.path.lastIndexOf(SLASH)));
  const query = { commit: start.oid, directory, names: entries.map(nameOf) };
  const found = await lastCommits(repository, query, { signal });

  for (let at = 0; at < entries.length; at += COMMITS_PER_MESSAGE) {
    const page = entries.slice(at, at + COMMITS_PER_MESSAGE);
    const oids = page.map((entry) => commitOf(entry, found, literalPathspecs));
    const commits: CommitForTree[] = [];
    for await (const batch of readNamed(repository.objects, oids, context)) {
      for (const { commit } of batch) {
        const entry = page[commits.length];
        if (commit === undefined || entry === undefined)
          throw new GitalyError('INTERNAL', 'object not found');
        commits.push({ pathBytes: entry.path, commit: toCommitMessage(commit.parsed) });
      }
    }
    yield { commits };
  }
};

/** Returns the entries in the order of the response. */
async function sorted(all: readonly ListedEntry[]): Promise<ListedEntry[]> {
  const byType = new Map(TYPES.map((type): [string, ListedEntry[]] => [type, []]));
  await eachInTurn(all, (entry) => void byType.get(entry.type)?.push(entry));
  return [...byType.values()].flat();
}

/** Creates the error for a failed git that read the history of a tree or a blob. */
function withoutHistory(): GitalyError {
  return new GitalyError('INTERNAL', 'exit status 255');
}

function nameOf({ path }: ListedEntry): Buffer {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}

/** @throws {GitalyError} for a path that starts like a git pathspec magic. */
function commitOf(entry: ListedEntry, found: ReadonlyMap<string, string>, literalPathspecs: boolean): string {
  const isMagic = !literalPathspecs && /^:[(:]/.test(entry.path.toString('latin1'));
  const oid = isMagic ? undefined : found.get(nameOf(entry).toString('latin1'));
  if (oid === undefined) throw new GitalyError('INTERNAL', `commit not resolved for ${quote(entry.path)}`);
  return oid;
}
