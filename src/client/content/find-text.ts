import type { CallOptions } from '../call/call-types.ts';
import type { Place } from '../repository/place.ts';

/** Lines of a file around and with a text. */
export interface TextMatch {
  readonly path: Buffer;
  readonly firstLine: number;
  readonly lines: readonly string[];
}

const MAX_MATCHES = 50;
const MAX_MATCH_LINES = 50;
const MAX_LINE_CHARACTERS = 500;
/** Limit of one match, and of all matches together. */
const MAX_MATCH_BYTES = 1 << 16;
const MAX_BYTES = 1 << 20;
const SPECIAL = /[^\p{L}\p{N}\s]/gu;

/**
 * Returns the first places with a text in the files of a revision, ignoring case. A match that is
 * very long is cut.
 *
 * @param revision full id of a commit.
 */
export async function findText(
  { connection, repository }: Pick<Place, 'connection' | 'repository'>,
  { revision, text }: { readonly revision: string; readonly text: string },
  options: CallOptions,
): Promise<{ readonly matches: readonly TextMatch[]; readonly isCut: boolean }> {
  const responses = connection.repository.searchFilesByContent(
    {
      repository,
      // The expression is the text itself.
      query: text.replace(SPECIAL, '\\$&'),
      ref: Buffer.from(revision),
    },
    options,
  );
  const matches: TextMatch[] = [];
  let [held, heldBytes, bytes]: [Buffer[], number, number] = [[], 0, 0];
  for await (const { endOfMatch, matchData } of responses) {
    bytes += matchData.length;
    if (heldBytes < MAX_MATCH_BYTES) held.push(Buffer.from(matchData));
    heldBytes += matchData.length;
    if (endOfMatch) {
      const match = parseMatch(Buffer.concat(held).subarray(0, MAX_MATCH_BYTES), revision);
      if (match !== undefined) matches.push(match);
      [held, heldBytes] = [[], 0];
    }
    if (matches.length > MAX_MATCHES || bytes > MAX_BYTES) break; // ends the call
  }
  return { matches: matches.slice(0, MAX_MATCHES), isCut: matches.length > MAX_MATCHES || bytes > MAX_BYTES };
}

/** Parses lines `<ref>:<path>\0<number>\0<text>`. */
function parseMatch(data: Buffer, revision: string): TextMatch | undefined {
  const pathEnd = data.indexOf(0);
  const numberEnd = data.indexOf(0, pathEnd + 1);
  if (pathEnd === -1 || numberEnd === -1) return undefined;
  const lines = data.toString().split('\n', MAX_MATCH_LINES);
  return {
    path: Buffer.from(data.subarray(revision.length + 1, pathEnd)),
    firstLine: Number(data.toString('latin1', pathEnd + 1, numberEnd)),
    lines: lines.filter((line) => line !== '').map(matchedText),
  };
}

function matchedText(line: string): string {
  const text = line.slice(line.indexOf('\0', line.indexOf('\0') + 1) + 1);
  return text.length > MAX_LINE_CHARACTERS ? `${text.slice(0, MAX_LINE_CHARACTERS)}…` : text;
}
