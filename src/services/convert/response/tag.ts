import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Commit } from '#git/objects/parse/parse-commit';
import type { Tag } from '#git/objects/parse/parse-tag';
import type { TagSchema } from '#wire/gen/shared_pb';
import { SIGNATURE_TYPES, toAuthorMessage, toCommitMessage } from './commit.ts';

export type TagMessage = MessageInitShape<typeof TagSchema>;

/**
 * Longest message in bytes; a longer one is truncated, and `message_size` gives its full length.
 */
const MAX_MESSAGE_BYTES = 10 * 1024;

const LF = 0x0a;

/** Parts of a tag: a reference below `refs/tags/` and its objects. */
export interface TagFields {
  /** Without `refs/tags/`: the tag object may contain another name. */
  readonly name: Buffer;
  /** Target of the reference. */
  readonly oid: string;
  /** The tag object; none when the tag is only a reference. */
  readonly tag: Tag | undefined;
  /** The commit at the end of the chain of tags; missing if the target is another object. */
  readonly commit: Commit | undefined;
}

/**
 * Converts a tag to its message: line feeds at the end of its text are removed, and a long text is
 * truncated.
 */
export function toTagMessage({ name, oid, tag, commit }: TagFields): TagMessage & { $typeName?: never } {
  return {
    name,
    id: oid,
    ...(commit && { targetCommit: toCommitMessage(commit) }),
    ...(tag && toObjectFields(tag)),
  };
}

function toObjectFields({ message, tagger, signatureType }: Tag) {
  let length = message.length;
  while (length > 0 && message[length - 1] === LF) length--;
  return {
    message: message.subarray(0, Math.min(length, MAX_MESSAGE_BYTES)),
    messageSize: BigInt(length),
    signatureType: SIGNATURE_TYPES[signatureType],
    ...(tagger && { tagger: toAuthorMessage(tagger) }),
  };
}
