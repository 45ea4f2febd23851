import { type BlameLine, blameLines } from '#client/content/blame-lines';
import { repositoryAddress } from '#console/console-route';
import { link } from '#console/html/elements';
import { instant } from '#console/html/format';
import { type Html, html } from '#console/html/html';
import type { ConsolePage } from '#console/page';
import { naturalNumber } from '../page-number.ts';
import { frame, nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';

const LINES_PER_PAGE = 1000;
const MAX_BYTES = 1 << 20;
const SHORT_ID = 10;

/** Shows the commit that last changed each line of a file. */
export async function blamePage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { calls, commit, connection, path, query, repository, rest, revision } = visit;
  const from = Math.max(1, naturalNumber(query.get('from')));
  const last = from + LINES_PER_PAGE;
  const responses = connection.commit.rawBlame(
    {
      repository: repository.message,
      revision: Buffer.from(commit.id),
      path: rest,
      range: Buffer.from(`${from},${last}`), // one line more than is shown
    },
    calls,
  );
  const found = await Array.fromAsync(blameLines(responses, MAX_BYTES));
  const shown = found.slice(0, LINES_PER_PAGE);
  const address = (number: number): string =>
    repositoryAddress(path, 'blame', { rest, query: { ref: revision, from: String(number) } });
  const next = found.length > shown.length ? address(last) : undefined;
  return {
    title: `Blame of ${rest} · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      revision,
      path: rest.toString(),
      lines: shown.map(({ commit: id, number, text }) => ({ number, commit: id, text: text.toString() })),
      next: next ?? null,
    },
    body: html`${frame(visit)}
<h2>Blame of ${fileLink(visit)}</h2>
${blame(path, shown)}
<nav class="pages" aria-label="Pages">${next && html`<a rel="next" href="${next}">Next lines</a>`}</nav>`,
  };
}

function fileLink({ path, rest, revision }: RepositoryVisit): Html {
  return link(repositoryAddress(path, 'files', { rest, query: { ref: revision } }), rest.toString());
}

/** Returns a table: lines of the same commit that follow each other name it once. */
function blame(path: string, lines: readonly BlameLine[]): Html {
  if (lines.length === 0) return html`<p>The file has no lines to show.</p>`;
  const rows = lines.map((line, index) => {
    const source = lines[index - 1]?.commit === line.commit ? undefined : sourceOf(path, line);
    const text = html`<td><pre>${line.text.toString()}</pre></td>`;
    return html`<tr><td class="note">${source}</td><td class="note">${line.number}</td>${text}</tr>\n`;
  });
  const headings = ['Commit', 'Line', 'Text'].map((heading) => html`<th scope="col">${heading}</th>`);
  return html`<div class="code" tabindex="0" role="region" aria-label="Lines with their commits">
<table class="blame"><thead><tr>${headings}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function sourceOf(path: string, { author, commit, subject, timeMs }: BlameLine): Html {
  const address = repositoryAddress(path, 'commit', { rest: commit });
  return html`<a href="${address}" title="${subject}">${commit.slice(0, SHORT_ID)}</a>
 ${author}, ${instant(new Date(timeMs))}`;
}
