import { GitalyError } from '#base/gitaly-error';
import { ZERO_OID } from '#git/names/object-id';
import type { ObjectInfo, ObjectType } from '#git/names/object-info';
import { validateReference } from '#git/names/validate-reference';
import type { Commit } from '#git/objects/parse/parse-commit';
import { formatIdent, type Ident } from '#git/objects/write/format-ident';
import { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';
import { signatureOf, type UserChange } from '../commit/signature.ts';
import { updateFromQuarantine } from '../ref-update/quarantined-update.ts';
import type { UpdateContext } from '../ref-update/update-with-hooks.ts';
import { tagReference } from '../revisions/reference-names.ts';
import { resolveReference } from '../revisions/resolve-reference.ts';

export interface TagRequest extends UserChange {
  /** Without `refs/tags/`. */
  readonly name: Uint8Array;
  /** Revision of the object to tag. */
  readonly target: Uint8Array;
  /** A tag object is written unless this is blank. */
  readonly message: Uint8Array;
  /** True to apply `.mailmap` to the returned commit. */
  readonly mailmap: boolean;
}

export interface CreatedTag {
  /** The tag object, or the target of a lightweight tag. */
  readonly oid: string;
  readonly isAnnotated: boolean;
  /** `undefined` when the tag does not lead to a commit. */
  readonly commit: Commit | undefined;
}

/** A reference of that name exists already. */
export class TagExistsError extends Error {
  override readonly name = 'TagExistsError';
  readonly reference: Buffer;
  readonly oid: string;

  constructor(reference: Buffer, oid: string) {
    super('tag reference exists already');
    this.reference = reference;
    this.oid = oid;
  }
}

/**
 * Creates a tag on behalf of a user.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a time zone; FAILED_PRECONDITION
 *   `revspec '…' not found`; NOT_FOUND for a tag object that git refuses; {TagExistsError}
 *   {UpdateFailedError}.
 */
export async function createTag(
  repository: Repository,
  request: TagRequest,
  context: UpdateContext,
): Promise<CreatedTag> {
  const { signal } = context;
  const tagger = signatureOf(request.user, request.seconds);
  const reference = tagReference(request.name);
  const named = await findTarget(repository, request.target, signal);
  const isAnnotated = hasText(request.message);
  const target = isAnnotated ? named : await peel(repository, named, signal);

  const make = async ({ repository: quarantined }: { readonly repository: Repository }) => {
    const tag = { name: request.name, target, tagger, message: request.message };
    const newOid = isAnnotated ? await writeTagObject(quarantined, reference, tag) : target.oid;
    const existing = await resolveReference(repository, reference, { signal });
    if (existing !== undefined) throw new TagExistsError(reference, existing);
    return { reference, oldOid: ZERO_OID[repository.objectFormat], newOid };
  };
  const { newOid: oid } = await updateFromQuarantine(repository, make, context);
  const { mailmap } = request;
  return { oid, isAnnotated, commit: await repository.objects.readCommit(target.oid, { signal, mailmap }) };
}

async function findTarget(
  repository: Repository,
  revision: Uint8Array,
  signal: AbortSignal,
): Promise<ObjectInfo> {
  const found = revision.includes(0) ? undefined : await repository.objects.info(revision, { signal });
  if (found === undefined)
    throw new GitalyError('FAILED_PRECONDITION', `revspec '${Buffer.from(revision)}' not found`);
  return found;
}

/** Returns the object at the end of a chain of tags. */
async function peel(repository: Repository, target: ObjectInfo, signal: AbortSignal): Promise<ObjectInfo> {
  return target.type === 'tag'
    ? await findTarget(repository, Buffer.from(`${target.oid}^{}`), signal)
    : target;
}

/** Reports whether a message has more than white space, to which a vertical tab does not belong. */
function hasText(message: Uint8Array): boolean {
  return message.some((byte) => !WHITE_SPACE.includes(byte));
}

const WHITE_SPACE = Buffer.from('\t\n\f\r ');

async function writeTagObject(
  repository: Repository,
  reference: Buffer,
  tag: Parameters<typeof writeTag>[1],
): Promise<string> {
  await using writer = new ObjectWriter(repository, repository.objectFormat);
  const oid = await writeTag(writer, tag);
  await writer.finish();
  if (oid !== undefined) return oid;
  const text = `Gitlab::Git::CommitError: Could not update ${reference}. Please refresh and try again.`;
  throw new GitalyError('NOT_FOUND', text);
}

export interface NewTag {
  /** Without `refs/tags/`; without line feeds. */
  readonly name: Uint8Array;
  /** An object that exists, and its type. */
  readonly target: { readonly oid: string; readonly type: ObjectType };
  readonly tagger: Ident;
  /** Stored unchanged: no line feed is added. */
  readonly message: Uint8Array;
}

/**
 * Writes a tag object as `git mktag` does, with unchanged bytes.
 *
 * @returns its id, on disk when the writer has finished; `undefined` when git would refuse it: a
 *   name that no reference can have, a date before 1970, a NUL before the message.
 */
export async function writeTag(
  writer: ObjectWriter,
  { name, target, tagger, message }: NewTag,
): Promise<string | undefined> {
  const header = Buffer.concat([
    Buffer.from(`object ${target.oid}\ntype ${target.type}\ntag `),
    name,
    Buffer.from('\ntagger '),
    formatIdent(tagger),
    Buffer.from('\n\n'),
  ]);
  const isRefused =
    tagger.seconds < 0n ||
    header.includes(0) ||
    validateReference(Buffer.concat([Buffer.from('refs/tags/'), name])) !== undefined;
  return isRefused ? undefined : await writer.write('tag', Buffer.concat([header, message]));
}
