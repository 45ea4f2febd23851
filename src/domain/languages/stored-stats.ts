import { LoopSlice } from '#base/async/loop-turns';
import { number, object, oneOf, parseAs, record, type Shaped, text } from '#base/shape';

/** Version of Gitaly's format. */
const VERSION = 'v3:gitaly';

/** Bytes by language. */
const bytes = record(number);
export type ByteCounts = Shaped<typeof bytes>;
const storedFiles = record(bytes);
const storedHead = object({ version: oneOf(VERSION), commit_id: text, totals: bytes });

export interface StoredStats {
  readonly commitId: string;
  readonly totals: [language: string, bytes: number][];
  /** JSON of the counts by path, without the outer braces. */
  readonly files: Buffer;
}

/** Neither server writes white space, and no text contains an unescaped quotation mark. */
const FILES_KEY = ',"by_file":{';
const END = '}}';
/** End of a file and start of the next one, or of a text that ends with the two characters. */
const NEXT_FILE = '},"';
/** Files that are parsed, or formatted, at once: less than a millisecond. */
const PARSED_BYTES = 32 * 1024;
const FORMATTED_FILES = 256;
const LINE_FEED = 0x0a;

/**
 * Parses stored counts apart from those of the files, which can be a hundred megabytes; `undefined`
 * when they are invalid or have another version. The fields have the order in which Gitaly writes
 * them.
 */
export function parseStored(json: Buffer): StoredStats | undefined {
  const key = json.indexOf(FILES_KEY);
  const end = json.length - END.length - (json.at(-1) === LINE_FEED ? 1 : 0);
  if (key === -1 || json.toString('latin1', end, end + END.length) !== END) return undefined;
  const head = parseAs(storedHead, `${json.toString('utf8', 0, key)}}`);
  if (head === undefined) return undefined;
  const files = json.subarray(key + FILES_KEY.length, end);
  return { commitId: head.commit_id, totals: Object.entries(head.totals), files };
}

/**
 * Parses the stored counts of files, in slices of the event loop. Yields `undefined` when they are
 * invalid, and ends.
 *
 * @throws the reason of the signal.
 */
export async function* parseFilesInTurns(
  files: Buffer,
  signal: AbortSignal,
): AsyncGenerator<[path: string, ByteCounts][] | undefined, void, undefined> {
  const slice = new LoopSlice();
  for (let start = 0; start < files.length; ) {
    let end = endOfFile(files, start + PARSED_BYTES);
    let parsed = parseFiles(files, start, end);
    // A path may end with these characters; its own end comes next.
    if (parsed === undefined && end < files.length) {
      end = endOfFile(files, end);
      parsed = parseFiles(files, start, end);
    }
    yield parsed;
    if (parsed === undefined) return;
    start = end + 1;
    await slice.pause(signal);
  }
}

/** Returns the offset after the first possible end of a file's counts. */
function endOfFile(files: Buffer, start: number): number {
  const end = files.indexOf(NEXT_FILE, start);
  return end === -1 ? files.length : end + 1;
}

function parseFiles(files: Buffer, start: number, end: number): [path: string, ByteCounts][] | undefined {
  const parsed = parseAs(storedFiles, `{${files.toString('utf8', start, end)}}`);
  return parsed && Object.entries(parsed);
}

/** Formats counts as {@link parseStored} reads them, in slices of the event loop. */
export async function formatStored(
  commitId: string,
  totals: ReadonlyMap<string, number>,
  files: ReadonlyMap<string, ByteCounts>,
): Promise<Buffer> {
  const head = JSON.stringify({ version: VERSION, commit_id: commitId, totals: Object.fromEntries(totals) });
  const pieces = [Buffer.from(`${head.slice(0, -1)}${FILES_KEY}`)];
  const slice = new LoopSlice();
  let piece: string[] = [];
  let separator = '';
  for (const [path, bytes] of files) {
    piece.push(`${separator}${JSON.stringify(path)}:${JSON.stringify(bytes)}`);
    separator = ',';
    if (piece.length < FORMATTED_FILES) continue;
    pieces.push(Buffer.from(piece.join('')));
    piece = [];
    await slice.pause();
  }
  pieces.push(Buffer.from(`${piece.join('')}${END}\n`));
  return Buffer.concat(pieces);
}
