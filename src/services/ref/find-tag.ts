import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { flag, type GitCommand, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output-lines';
import type { ObjectReader } from '#git/objects/object-reader';
import type { Tag } from '#git/objects/parse-tag';
import type { ListedRef } from '#git/refs/listed-ref';
import { readRefTag } from '#git/refs/read-ref-objects';
import { firstWildcard } from '#git/refs/wildmatch';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import { FindTagErrorSchema, type FindTagRequest, type FindTagResponseSchema } from '#wire/gen/ref_pb';
import { usesMailmap } from '../convert/feature-flags.ts';
import { toTagMessage } from '../convert/tag.ts';
import { ignoringGitFailure } from '../convert/until-git-fails.ts';
import type { RefRooms } from './index.ts';

const TAGS = Buffer.from('refs/tags/');
/** Nobody makes more; Gitaly follows ten. */
const MAX_TAGS_OF_TAGS = 10;
const SPACE = 0x20;

/** Finds a tag by its name, which may be a pattern as for `git tag --list`: the first match counts. */
export async function findTag(
  request: FindTagRequest,
  context: HandlerContext,
  rooms: RefRooms,
): Promise<MessageInitShape<typeof FindTagResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  if (request.tagName.length === 0) throw new GitalyError('INVALID_ARGUMENT', 'tag name is empty');

  const { signal } = context;
  const ref = await find(repository, Buffer.from(request.tagName), context);
  const found = ref && (await readRefTag(repository.objects, ref, { mailmap: usesMailmap(context), signal }));
  if (found === undefined) throw notFound(request.tagName);
  if (found.isMissing && !(await leadsToContent(repository.objects, found.tag, signal))) throw notFound(request.tagName);
  const { tag, commit } = found;
  return { tag: toTagMessage({ name: found.ref.name.subarray(TAGS.length), oid: found.ref.oid, tag, commit }) };
}

/** Whether a tag, or one that it is of, is of a file or a directory: nobody looks at these, so they may be missing. */
async function leadsToContent(objects: ObjectReader, tag: Tag | undefined, signal: AbortSignal): Promise<boolean> {
  let at = tag;
  for (let depth = 0; depth < MAX_TAGS_OF_TAGS && at?.targetType === 'tag'; depth++)
    at = await objects.readTag(at.targetOid, { signal });
  return at?.targetType === 'blob' || at?.targetType === 'tree';
}

async function find(repository: Repository, pattern: Buffer, { signal, log }: HandlerContext): Promise<ListedRef | undefined> {
  const command = listCommand(pattern);
  if (firstWildcard(pattern) === -1) {
    return await repository.refs.find(Buffer.concat([TAGS, pattern]), { signal });
  }
  const lines = outputLines(repository.git, repository, command, { hooks: 'disabled', signal });
  for await (const [line] of ignoringGitFailure(lines, log)) if (line !== undefined) return parseLine(line);
  return undefined;
}

/** Reads `<oid> <name>`. */
function parseLine(line: Buffer): ListedRef {
  const space = line.indexOf(SPACE);
  const name = Buffer.concat([TAGS, line.subarray(space + 1)]);
  return { name, oid: line.toString('latin1', 0, space), peeledOid: undefined, isPeelKnown: false };
}

/** @throws {GitalyError} for a name that git must not see. */
function listCommand(pattern: Buffer): GitCommand {
  try {
    return gitCommand('tag', { options: [flag('-l'), flag('--format=%(objectname) %(refname:lstrip=2)')], args: [pattern] });
  } catch (error) {
    throw wrap(error, 'for-each-ref error');
  }
}

function notFound(name: Uint8Array): GitalyError {
  const referenceName = Buffer.concat([TAGS, name]);
  return new GitalyError('NOT_FOUND', 'tag does not exist', {
    details: [create(FindTagErrorSchema, { error: { case: 'tagNotFound', value: { referenceName } } })],
  });
}
