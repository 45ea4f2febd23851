import { quotePath } from '#git/names/quote-path';
import { splitTypeChange } from '../parse/raw-line.ts';
import { compareLines, type FileContents, isBinary, NO_FILE } from './file-contents.ts';
import { writeHunks } from './hunks.ts';
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

/** Writes the patch of a file, as `git diff --full-index` does. */
export function writePatch(
  writer: TextWriter,
  change: ComparedChange,
  files: FileContents | undefined,
): void {
  const [first, second] = splitTypeChange(change);
  if (first === undefined) return;
  if (second === undefined || files === undefined) {
    writeOnePatch(writer, change, files);
    return;
  }
  writeOnePatch(writer, first, { ...files, after: NO_FILE });
  writeOnePatch(writer, second, { ...files, before: NO_FILE });
}

function writeOnePatch(writer: TextWriter, change: ComparedChange, files: FileContents | undefined): void {
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
  if (!isBinary(files)) writeText(writer, sides, files);
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

function writeText(writer: TextWriter, [from, to]: readonly [Buffer, Buffer], files: FileContents): void {
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
  writeHunks(writer, lines, files.before.driver.rules ?? files.after.driver.rules);
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
