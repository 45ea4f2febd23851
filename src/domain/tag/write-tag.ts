import type { ObjectType } from '#git/names/object-info';
import { validateReference } from '#git/names/validate-reference';
import { formatIdent, type Ident } from '#git/objects/write/format-ident';
import type { ObjectWriter } from '#git/objects/write/write-objects';

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
