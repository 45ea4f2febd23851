import { createHash } from 'node:crypto';
import { inTurns } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { Resolution } from './resolution-reader.ts';

/** Larger files are not resolved. */
const MAX_FILE_BYTES = 200 * 1024;
const MIDDLE = '=======';

/** The sections before and after each kind of marker. */
const STEPS: Readonly<
  Record<'start' | 'middle' | 'end' | 'text', { readonly from: Section; readonly to: Section } | undefined>
> = {
  start: { from: 'none', to: 'ours' },
  middle: { from: 'ours', to: 'theirs' },
  end: { from: 'theirs', to: 'none' },
  text: undefined,
};

/**
 * The side of a line: `none` outside of conflicts, `unterminated` for a diff's note about a missing
 * line feed.
 */
type Section = 'none' | 'ours' | 'theirs' | 'unterminated';

interface Line {
  /** In latin-1, without its line break. */
  readonly text: string;
  readonly hasCarriageReturn: boolean;
  readonly section: Section;
  /** Parts of the id of the conflict that begins with the line. */
  readonly oldNumber: number;
  readonly newNumber: number;
}

export interface ConflictedContent {
  readonly path: Buffer;
  /** The output of git, with the ids of the commits in the markers. */
  readonly content: Buffer;
  readonly ours: string;
  readonly theirs: string;
  readonly endsWithLineFeed: boolean;
}

/** A resolution is missing or changes nothing. Clients get the message in a response. */
export class ResolutionError extends Error {
  override readonly name = 'ResolutionError';
}

/**
 * Returns a file without conflicts, as the user has decided: the whole content, or the side to take
 * for each conflict.
 *
 * @throws {ResolutionError} `Missing resolution for section ID: …`; {GitalyError}
 *   `resolve: parse conflict for "x": …`, INVALID_ARGUMENT for markers that do not fit, INTERNAL
 *   for files that are empty or too large; the reason of the signal.
 */
export async function resolveFile(
  file: ConflictedContent,
  { sections, content, oldPath, newPath }: Resolution,
  signal: AbortSignal,
): Promise<Buffer> {
  if (file.content.length === 0 || file.content.length > MAX_FILE_BYTES) {
    throw parseError('INTERNAL', file, 'merging is not supported for file');
  }
  if (sections.size === 0) return Buffer.from(content);
  const areSame = oldPath === newPath;
  const start = `<<<<<<< ${file.ours}${areSame ? '' : `:${bytes(oldPath)}`}`;
  const end = `>>>>>>> ${file.theirs}${areSame ? '' : `:${bytes(newPath)}`}`;
  const lines = await parseLines(file, { start, end }, signal);
  const lineBreak = lines[0]?.hasCarriageReturn === true ? '\r\n' : '\n';
  const chosen = await chosenLines(file, { lines, sections }, signal);
  const text = chosen.join(lineBreak) + (file.endsWithLineFeed ? lineBreak : '');
  return Buffer.from(text, 'latin1');
}

async function parseLines(
  file: ConflictedContent,
  markers: { readonly start: string; readonly end: string },
  signal: AbortSignal,
): Promise<Line[]> {
  const lines: Line[] = [];
  let section: Section = 'none';
  let [oldNumber, newNumber] = [1, 1];
  const all = file.content.toString('latin1').split('\n');
  if (all.at(-1) === '') all.pop();
  for await (const piece of inTurns(all, signal))
    for (const line of piece) {
      const hasCarriageReturn = line.endsWith('\r');
      const text = hasCarriageReturn ? line.slice(0, -1) : line;
      const step =
        STEPS[
          text === markers.start
            ? 'start'
            : text === MIDDLE
              ? 'middle'
              : text === markers.end
                ? 'end'
                : 'text'
        ];
      if (step !== undefined) {
        if (section !== step.from)
          throw parseError('INVALID_ARGUMENT', file, 'unexpected conflict delimiter');
        section = step.to;
        continue;
      }
      const isNote = text.startsWith('\\');
      if (isNote) section = 'unterminated';
      lines.push({ text, hasCarriageReturn, section, oldNumber, newNumber });
      if (isNote) continue;
      // Lines of our side count as new and lines of their side as old, as in Gitaly.
      if (section !== 'ours') oldNumber++;
      if (section !== 'theirs') newNumber++;
    }
  if (section === 'ours' || section === 'theirs')
    throw parseError('INTERNAL', file, 'missing last delimiter');
  return lines;
}

async function chosenLines(
  { path }: ConflictedContent,
  { lines, sections }: { readonly lines: readonly Line[]; readonly sections: ReadonlyMap<string, string> },
  signal: AbortSignal,
): Promise<string[]> {
  const file = createHash('sha1').update(path).digest('hex');
  const chosen: string[] = [];
  let id = '';
  for await (const piece of inTurns(lines, signal))
    for (const { text, section, oldNumber, newNumber } of piece) {
      if (section === 'none') {
        id = '';
        chosen.push(text);
        continue;
      }
      if (id === '') id = `${file}_${oldNumber}_${newNumber}`;
      const side = sections.get(id);
      if (side !== 'head' && side !== 'origin')
        throw new ResolutionError(`Missing resolution for section ID: ${id}`);
      if (section === (side === 'head' ? 'ours' : 'theirs')) chosen.push(text);
    }
  return chosen;
}

function bytes(path: string): string {
  return Buffer.from(path).toString('latin1');
}

function parseError(
  code: 'INTERNAL' | 'INVALID_ARGUMENT',
  { path }: ConflictedContent,
  what: string,
): GitalyError {
  return new GitalyError(code, `resolve: parse conflict for ${quote(path)}: ${what}`);
}
