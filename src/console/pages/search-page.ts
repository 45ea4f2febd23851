import { repositoryAddress } from '../console-route.ts';
import { codeFrame, link } from '../html/elements.ts';
import { count } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import type { Page } from '../page.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

/** Lines of a file around and with a text. */
interface Match {
  readonly path: Buffer;
  readonly firstLine: number;
  readonly lines: readonly string[];
}

const MAX_QUERY = 200;
const MAX_MATCHES = 50;
const MAX_MATCH_LINES = 50;
const MAX_LINE_CHARACTERS = 500;
/** Limit of one match, and of all matches together. */
const MAX_MATCH_BYTES = 1 << 16;
const MAX_BYTES = 1 << 20;
const SPECIAL = /[^\p{L}\p{N}\s]/gu;

/** Searches for a text in the files of a revision, ignoring case. */
export async function searchPage(visit: RepositoryVisit): Promise<Page> {
  const { path, query, revision } = visit;
  const text = (query.get('q') ?? '').slice(0, MAX_QUERY).trim();
  const { isCut, matches } = text === '' ? { isCut: false, matches: [] } : await find(visit, text);
  return {
    title: `Search · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      revision,
      query: text,
      matches: matches.map((match) => ({ ...match, path: match.path.toString() })),
      isCut,
    },
    body: html`${frame(visit)}
<form class="search" method="get" action="${repositoryAddress(path, 'search')}" role="search">
<input type="hidden" name="ref" value="${revision}">
<label for="q">Search the files of ${revision}</label>
<input id="q" name="q" type="search" value="${text}" maxlength="${MAX_QUERY}" autocomplete="off">
<button>Search</button>
</form>
${text === '' ? undefined : results(visit, matches, isCut)}`,
  };
}

function results({ path, revision }: RepositoryVisit, matches: readonly Match[], isCut: boolean): Html {
  if (matches.length === 0) return html`<p>No file contains this text.</p>`;
  return html`<h2>${count(matches.length, 'place')}</h2>
${matches.map(({ firstLine, lines, path: file }) => {
  const name = file.toString();
  const address = repositoryAddress(path, 'files', { rest: file, query: { ref: revision } });
  const numbers = lines.map((_, index) => firstLine + index).join('\n');
  return html`<h3>${link(address, name)}</h3>
${codeFrame(`${name} from line ${firstLine}`, lines.join('\n'), numbers)}`;
})}
${isCut ? html`<p>There are more. Search for a longer text, or use git grep.</p>` : undefined}`;
}

/** Returns the first places with a text. A match that is very long is cut. */
async function find(
  { calls, commit, connection, repository }: RepositoryVisit,
  text: string,
): Promise<{ matches: readonly Match[]; isCut: boolean }> {
  const ending = new AbortController();
  const signal = AbortSignal.any([calls.signal, ending.signal]);
  const responses = connection.repository.searchFilesByContent(
    {
      repository: repository.message,
      // The expression is the text itself.
      query: text.replace(SPECIAL, '\\$&'),
      ref: Buffer.from(commit.id),
    },
    { ...calls, signal },
  );
  const matches: Match[] = [];
  let [held, heldBytes, bytes]: [Buffer[], number, number] = [[], 0, 0];
  for await (const { endOfMatch, matchData } of responses) {
    bytes += matchData.length;
    if (heldBytes < MAX_MATCH_BYTES) held.push(Buffer.from(matchData));
    heldBytes += matchData.length;
    if (endOfMatch) {
      const match = parseMatch(Buffer.concat(held).subarray(0, MAX_MATCH_BYTES), commit.id);
      if (match !== undefined) matches.push(match);
      [held, heldBytes] = [[], 0];
    }
    if (matches.length > MAX_MATCHES || bytes > MAX_BYTES) break; // ends the call
  }
  ending.abort();
  return { matches: matches.slice(0, MAX_MATCHES), isCut: matches.length > MAX_MATCHES || bytes > MAX_BYTES };
}

/** Parses lines `<ref>:<path>\0<number>\0<text>`. */
function parseMatch(data: Buffer, revision: string): Match | undefined {
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
