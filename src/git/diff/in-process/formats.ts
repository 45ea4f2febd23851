import { quotePath } from '#git/names/quote-path';
import { splitTypeChange } from '../parse/raw-line.ts';
import { compareLines, type FileContents, isBinary, NO_CONTENTS } from './file-contents.ts';
import { type HunkOptions, writeHunks } from './hunks.ts';
import type { ComparedChange } from './renames/find-renames.ts';
import type { TextWriter } from './text-writer.ts';

/** End of paths: `-z`, or quoted paths on lines. */
export type RawFormat = 'nul' | 'lines';

const SPACE = 0x20;
const QUOTE = 0x22;

/** Writes a line of `git diff --raw` with full ids. */
export function writeRaw(writer: TextWriter, change: ComparedChange, format: RawFormat): void {
  const { status, oldMode, newMode, fromOid, toOid, fromPath, toPath, similarity } = change;
  const [separator, end] = format === 'nul' ? ['\0', '\0'] : ['\t', '\n'];
  const score = similarity === undefined ? '' : String(similarity).padStart(3, '0');
  const path = (name: Buffer): Buffer => (format === 'nul' ? name : quotePath(name));
  writer.text(`:${octal(oldMode)} ${octal(newMode)} ${fromOid} ${toOid} ${status}${score}${separator}`);
  if (status === 'R') {
    writer.add(path(fromPath));
    writer.text(separator);
  }
  writer.add(path(toPath));
  writer.text(end);
}

/** Writes a record of `git diff --numstat -z`. */
export function writeStat(writer: TextWriter, change: ComparedChange, files: FileContents | undefined): void {
  const { status, fromPath, toPath } = change;
  writer.text(`${statOf(change, files)}\t`);
  if (status === 'R') {
    writer.text('\0');
    writer.add(fromPath);
    writer.text('\0');
  }
  writer.add(toPath);
  writer.text('\0');
}

/** A file to write. */
export interface PatchedFile extends Omit<HunkOptions, 'rules'> {
  readonly change: ComparedChange;
  /** `undefined` if its contents are the same. */
  readonly files: FileContents | undefined;
}

/** Writes the patch of a file, as `git diff --full-index` does. @throws as {@link writeHunks}. */
export async function writePatch(writer: TextWriter, file: PatchedFile): Promise<void> {
  const { change, files } = file;
  const [first, second] = splitTypeChange(change);
  if (first === undefined) return;
  if (second === undefined || files === undefined) {
    await writeOnePatch(writer, file);
    return;
  }
  await writeOnePatch(writer, { ...file, change: first, files: { ...files, after: NO_CONTENTS } });
  await writeOnePatch(writer, { ...file, change: second, files: { ...files, before: NO_CONTENTS } });
}

async function writeOnePatch(writer: TextWriter, file: PatchedFile): Promise<void> {
  const { change, files } = file;
  const { status, oldMode, newMode, fromOid, toOid, fromPath, toPath } = change;
  const [from, to] = [sidePath('a/', fromPath), sidePath('b/', toPath)];
  writer.add(Buffer.concat([Buffer.from('diff --git '), from, Buffer.of(SPACE), to]));
  writer.text('\n');
  if (oldMode === 0) writer.text(`new file mode ${octal(newMode)}\n`);
  else if (newMode === 0) writer.text(`deleted file mode ${octal(oldMode)}\n`);
  else if (oldMode !== newMode) writer.text(`old mode ${octal(oldMode)}\nnew mode ${octal(newMode)}\n`);
  if (status === 'R') {
    writer.text(`similarity index ${change.similarity}%\nrename from `);
    writer.add(quotePath(fromPath));
    writer.text('\nrename to ');
    writer.add(quotePath(toPath));
    writer.text('\n');
  }
  if (fromOid === toOid) return;
  writer.text(`index ${fromOid}..${toOid}${oldMode === newMode ? ` ${octal(newMode)}` : ''}\n`);
  if (files === undefined) return;
  const sides = [oldMode === 0 ? NOTHING : from, newMode === 0 ? NOTHING : to] as const;
  if (!isBinary(files)) await writeText(writer, sides, { ...file, files });
  // An empty file that an attribute makes a binary one is not shown.
  else if (!files.before.bytes.equals(files.after.bytes)) writeBinary(writer, sides);
}

const NOTHING = Buffer.from('/dev/null');

function writeBinary(writer: TextWriter, [from, to]: readonly [Buffer, Buffer]): void {
  writer.text('Binary files ');
  writer.add(from);
  writer.text(' and ');
  writer.add(to);
  writer.text(' differ\n');
}

async function writeText(
  writer: TextWriter,
  [from, to]: readonly [Buffer, Buffer],
  { files, slice, signal }: PatchedFile & { readonly files: FileContents },
): Promise<void> {
  const lines = compareLines(files);
  if (lines.changes.length === 0) return;
  for (const [mark, path] of [
    ['--- ', from],
    ['+++ ', to],
  ] as const) {
    writer.text(mark);
    writer.add(path);
    writer.text(path.includes(SPACE) ? '\t\n' : '\n');
  }
  const rules = files.before.driver.rules ?? files.after.driver.rules;
  await writeHunks(writer, lines, { rules, slice, signal });
}

/** Returns the numbers of added and removed lines; `-` for binary files. */
function statOf({ fromOid, toOid }: ComparedChange, files: FileContents | undefined): string {
  if (files !== undefined && isBinary(files)) return '-\t-';
  if (files === undefined || fromOid === toOid) return '0\t0';
  const { changes } = compareLines(files);
  const added = changes.reduce((sum, change) => sum + change.added, 0);
  const removed = changes.reduce((sum, change) => sum + change.removed, 0);
  return `${added}\t${removed}`;
}

/** Returns a path after a prefix, with both in quotes if the path needs them. */
function sidePath(prefix: string, path: Buffer): Buffer {
  const quoted = quotePath(path);
  return quoted[0] === QUOTE && quoted !== path
    ? Buffer.concat([Buffer.of(QUOTE), Buffer.from(prefix), quoted.subarray(1)])
    : Buffer.concat([Buffer.from(prefix), path]);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(6, '0');
}
