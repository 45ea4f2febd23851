import { invalidArgument } from '#base/gitaly-error';
import { lineBatches } from '#base/streams/line-batches';
import { flag, gitCommand } from '#git/command/git-command';
import { outputBytes } from '#git/command/output';
import { isOid } from '#git/names/object-id';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import { deleteReferences } from '../ref-update/delete-references.ts';

export interface RewrittenObject {
  readonly oldOid: string;
  readonly newOid: string;
  /** `unknown` for an object that is not there. */
  readonly type: 'commit' | 'tree' | 'blob' | 'tag' | 'unknown';
}

/** References of GitLab's own that keep objects alive. */
const INTERNAL = ['environments', 'keep-around', 'merge-requests', 'pipelines', 'remotes', 'tmp'];
/** First line of the list that `git filter-repo` writes. */
const HEADER = /^old +new$/;

/**
 * Reads a list of rewritten objects, lines `<old> <new>`, and yields each with its type. At the end
 * GitLab's internal references are deleted, all or none, that point to an old commit or to a child
 * of one, so that the old objects can be removed.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `object map invalid at line N`, `invalid old object ID at
 *   line N`, `invalid new object ID at line N`; then nothing is deleted.
 */
export async function* applyObjectMap(
  repository: Repository,
  pieces: AsyncIterable<Uint8Array>,
  options: { readonly vote: Vote | undefined; readonly signal: AbortSignal },
): AsyncGenerator<RewrittenObject, void, undefined> {
  const references = await internalReferences(repository, options.signal);
  const stale = new Set<string>();
  let number = 0;
  for await (const lines of lineBatches(pieces))
    for (const line of lines) {
      const pair = parseLine(line.toString('latin1'), number++, repository.objectFormat);
      if (pair === undefined) continue;
      const hit = references.get(pair.oldOid);
      for (const name of hit ?? []) stale.add(name);
      yield { ...pair, type: hit === undefined ? await typeOf(repository, pair.newOid) : 'commit' };
    }
  if (stale.size === 0) return;
  await deleteReferences(
    repository,
    [...stale].map((name) => Buffer.from(name, 'latin1')),
    options,
  );
}

function parseLine(
  line: string,
  number: number,
  format: 'sha1' | 'sha256',
): Pick<RewrittenObject, 'oldOid' | 'newOid'> | undefined {
  const space = line.indexOf(' ');
  if (HEADER.test(line)) return undefined;
  if (space === -1) throw invalidArgument(`object map invalid at line ${number}`);
  const [oldOid, newOid] = [line.slice(0, space), line.slice(space + 1)];
  if (!isOid(oldOid, format)) throw invalidArgument(`invalid old object ID at line ${number}`);
  if (!isOid(newOid, format)) throw invalidArgument(`invalid new object ID at line ${number}`);
  return oldOid === newOid ? undefined : { oldOid, newOid };
}

async function typeOf(repository: Repository, oid: string): Promise<RewrittenObject['type']> {
  return (await repository.objects.info(oid))?.type ?? 'unknown';
}

/** Returns the names of the internal references by each commit to which they, or a child, point. */
async function internalReferences(
  repository: Repository,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const command = gitCommand('for-each-ref', {
    options: [flag('--format=%(objectname) %(parent)%00%(refname)')],
    args: INTERNAL.map((name) => `refs/${name}/`),
  });
  const found = new Map<string, string[]>();
  for await (const lines of lineBatches(outputBytes(repository, command, { signal })))
    for (const line of lines) {
      const [oids = '', name = ''] = line.toString('latin1').split('\0');
      for (const oid of oids.split(' ').filter(Boolean)) {
        const names = found.get(oid);
        if (names === undefined) found.set(oid, [name]);
        else names.push(name);
      }
    }
  return found;
}
