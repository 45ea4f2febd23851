import { diffs, type WholeDiff } from '#client/content/collect/diffs';
import type { Signature } from '#client/repository/values';
import { repositoryAddress } from '../console-route.ts';
import { codeFrame, link } from '../html/elements.ts';
import { count, instant } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import type { Page } from '../page.ts';
import { commitData } from './commits-page.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

/** Bounds of the change on a page; git shows the rest. */
const LIMITS = {
  enforceLimits: true,
  maxFiles: 200,
  maxLines: 5000,
  maxBytes: 400_000,
  maxPatchBytes: 100_000,
} as const;
/** The parent of a first commit: the empty tree. */
const EMPTY_TREES: Readonly<Record<number, string>> = {
  40: '4b825dc642cb6eb9a060e54bf8d69288fbee4904',
  64: '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321',
};

/** Shows a commit and its change against its first parent. */
export async function commitPage(visit: RepositoryVisit): Promise<Page> {
  const { calls, commit, connection, path, repository } = visit;
  const { id, message, parents } = commit;
  const request = {
    repository: repository.message,
    leftCommitId: parents[0] ?? EMPTY_TREES[id.length] ?? '',
    rightCommitId: id,
    ...LIMITS,
  };
  const found = await Array.fromAsync(diffs(connection.diff.commitDiff(request, calls)));
  const isCut = found.some(({ overflowMarker }) => overflowMarker);
  const files = found.filter(({ overflowMarker }) => !overflowMarker);
  return {
    title: `${commit.subject} · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, commit: commitData(commit), files: files.map(fileData), isCut },
    body: html`${frame(visit)}
<h2>${commit.subject}</h2>
<dl>
<dt>Commit</dt><dd><code>${id}</code></dd>
${parents.map((parent) => html`<dt>Parent</dt><dd>${commitLink(path, parent)}</dd>`)}
<dt>Author</dt><dd>${person(commit.author)}</dd>
<dt>Committer</dt><dd>${person(commit.committer)}</dd>
</dl>
<pre class="message">${message}</pre>
<p><a href="${repositoryAddress(path, 'files', { query: { ref: id } })}">Files at this commit</a></p>
<h2>${count(files.length, 'changed file')}</h2>
${files.map(fileDiff)}
${isCut ? html`<p>The change is larger than a page shows. Use git to see all of it.</p>` : undefined}`,
  };
}

function commitLink(path: string, id: string): Html {
  return link(repositoryAddress(path, 'commit', { rest: id }), html`<code>${id}</code>`);
}

function person({ date, email, name }: Signature): Html {
  return html`${name} &lt;${email}&gt;, ${instant(date)}`;
}

function fileData({ binary, fromPath, linesAdded, linesRemoved, patch, toPath }: WholeDiff) {
  const [from, to] = [Buffer.from(fromPath).toString(), Buffer.from(toPath).toString()];
  return { from, to, isBinary: binary, linesAdded, linesRemoved, patch: patch.toString() };
}

function fileDiff(diff: WholeDiff): Html {
  const { from, isBinary, linesAdded, linesRemoved, patch, to } = fileData(diff);
  const name = from === to ? html`${to}` : html`${from} → ${to}`;
  const note = isBinary ? 'A binary file.' : 'No lines to show.';
  return html`<details class="diff" open>
<summary>${name} <span class="note">+${linesAdded} −${linesRemoved}</span></summary>
${isBinary || patch === '' ? html`<p>${note}</p>` : patchOf(patch, to)}
</details>
`;
}

const CLASSES: Readonly<Record<string, string>> = { '+': 'added', '-': 'removed', '@': 'hunk' };

function patchOf(patch: string, name: string): Html {
  const lines = patch.replace(/\n$/, '').split('\n');
  const shown = lines.map((line) => {
    const kind = CLASSES[line.slice(0, 1)];
    return kind === undefined ? html`${line}\n` : html`<span class="${kind}">${line}</span>\n`;
  });
  return codeFrame(`Change of ${name}`, shown);
}
