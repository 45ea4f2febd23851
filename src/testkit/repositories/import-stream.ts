/** Text or bytes of a repository: nothing requires them to be UTF-8. */
export type Bytes = string | Uint8Array;

/** A file of a commit: its content, its content with a mode, or `null` to remove it. */
export type FileChange =
  | Bytes
  | null
  | { readonly mode: '100644' | '100755' | '120000'; readonly content: Bytes }
  | { readonly mode: '160000'; readonly commit: string };

/** An author, committer or tagger. */
export interface Person {
  readonly name: Bytes;
  readonly email: Bytes;
  /** Unix time. Default: that of the builder, which advances by one second for each object. */
  readonly seconds?: number;
  /** Default `+0000`. */
  readonly timezone?: string;
}

/** The fields of a commit for `git fast-import`. */
export interface ImportedCommit {
  readonly reference: Bytes;
  readonly author: Required<Person>;
  readonly committer: Required<Person>;
  readonly message: Bytes;
  /** Object ids. */
  readonly parents: readonly string[];
  readonly files: Iterable<readonly [path: Bytes, change: FileChange]>;
}

/** The fields of an annotated tag for `git fast-import`. */
export interface ImportedTag {
  readonly name: Bytes;
  readonly target: string;
  readonly tagger: Required<Person>;
  readonly message: Bytes;
}

/** Returns the stream that creates a commit, moves its reference and prints its id. */
export function commitStream({
  author,
  committer,
  files,
  message,
  parents,
  reference,
}: ImportedCommit): Buffer {
  const parts: Bytes[] = ['commit ', reference, '\nmark :1\n'];
  parts.push('author ', ...personParts(author), 'committer ', ...personParts(committer), ...data(message));
  for (const [index, parent] of parents.entries())
    parts.push(`${index === 0 ? 'from' : 'merge'} ${parent}\n`);
  for (const [path, change] of files) parts.push(...changeParts(quoted(path), change));
  return join([...parts, '\nget-mark :1\n']);
}

/** Returns the stream that creates an annotated tag with its reference, and prints its id. */
export function tagStream({ message, name, tagger, target }: ImportedTag): Buffer {
  const person = personParts(tagger);
  return join([
    'tag ',
    name,
    `\nmark :1\nfrom ${target}\ntagger `,
    ...person,
    ...data(message),
    'get-mark :1\n',
  ]);
}

function changeParts(path: Bytes, change: FileChange): Bytes[] {
  if (change === null) return ['D ', path, '\n'];
  if (typeof change === 'string' || change instanceof Uint8Array)
    return ['M 100644 inline ', path, '\n', ...data(change)];
  if (change.mode === '160000') return [`M 160000 ${change.commit} `, path, '\n'];
  return [`M ${change.mode} inline `, path, '\n', ...data(change.content)];
}

function personParts({ email, name, seconds, timezone }: Required<Person>): Bytes[] {
  return [name, ' <', email, `> ${seconds} ${timezone}\n`];
}

function data(content: Bytes): Bytes[] {
  return [`data ${Buffer.byteLength(content)}\n`, content, '\n'];
}

/** Quotes a path as C does; every byte is possible in it. */
function quoted(path: Bytes): string {
  const text = [...Buffer.from(path)].map((byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\${byte.toString(8).padStart(3, '0')}`,
  );
  return `"${text.join('')}"`;
}

function join(parts: readonly Bytes[]): Buffer {
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}
