import { wrap } from '#base/gitaly-error';
import { flag, type GitCommand, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import { ignoringGitFailure } from '#git/command/until-git-fails';
import { firstWildcard } from '#git/names/wildmatch';
import type { ObjectReader } from '#git/objects/object-reader';
import type { Tag } from '#git/objects/parse/parse-tag';
import { type RefTag, readRefTag } from '#git/refs/list/read-ref-objects';
import type { ListedRef } from '#git/refs/storage/listed-ref';
import type { Repository } from '#storage/repository';

export interface FindTagOptions {
  /** True to apply `.mailmap` to the tagger and the commit's people. */
  readonly mailmap: boolean;
  readonly signal: AbortSignal;
  /** Receives the failure of a git that cannot list the tags. */
  readonly log: Parameters<typeof ignoringGitFailure>[1];
}

const TAGS = Buffer.from('refs/tags/');
/** Longest chain of tags that is followed; Gitaly follows ten. */
const MAX_TAGS_OF_TAGS = 10;
const SPACE = 0x20;

/**
 * Finds the first tag that matches a pattern of `git tag --list`.
 *
 * @returns `undefined` when there is none, or when a part of it is missing.
 * @throws {GitalyError} `for-each-ref error: …` for a pattern that git must not see.
 */
export async function findTag(
  repository: Repository,
  pattern: Buffer,
  options: FindTagOptions,
): Promise<RefTag | undefined> {
  const { mailmap, signal } = options;
  const { objects } = repository;
  const ref = await find(repository, pattern, options);
  const found = ref && (await readRefTag(objects, ref, { mailmap, signal }));
  if (found?.isMissing === true && !(await leadsToContent(objects, found.tag, signal))) return undefined;
  return found;
}

/**
 * Reports whether a tag, or a tag that it points to, is of a file or a directory. Those are never
 * read, so they may be missing.
 */
async function leadsToContent(
  objects: ObjectReader,
  tag: Tag | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  let at = tag;
  for (let depth = 0; depth < MAX_TAGS_OF_TAGS && at?.targetType === 'tag'; depth++)
    at = await objects.readTag(at.targetOid, { signal });
  return at?.targetType === 'blob' || at?.targetType === 'tree';
}

async function find(
  repository: Repository,
  pattern: Buffer,
  { signal, log }: FindTagOptions,
): Promise<ListedRef | undefined> {
  const command = listCommand(pattern);
  if (firstWildcard(pattern) === -1) {
    return await repository.refs.find(Buffer.concat([TAGS, pattern]), { signal });
  }
  const lines = outputLines(repository, command, { hooks: 'disabled', signal });
  for await (const [line] of ignoringGitFailure(lines, log)) if (line !== undefined) return parseLine(line);
  return undefined;
}

/** Parses `<oid> <name>`. */
function parseLine(line: Buffer): ListedRef {
  const space = line.indexOf(SPACE);
  const name = Buffer.concat([TAGS, line.subarray(space + 1)]);
  return { name, oid: line.toString('latin1', 0, space), peeledOid: undefined, isPeelKnown: false };
}

function listCommand(pattern: Buffer): GitCommand {
  try {
    return gitCommand('tag', {
      options: [flag('-l'), flag('--format=%(objectname) %(refname:lstrip=2)')],
      args: [pattern],
    });
  } catch (error) {
    throw wrap(error, 'for-each-ref error');
  }
}
