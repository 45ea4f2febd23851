import type { Signature } from '#client/repository/values';
import { repositoryAddress } from '#console/console-route';
import { link } from '#console/html/elements';
import { instant } from '#console/html/format';
import { type Html, html } from '#console/html/html';
import type { ConsolePage } from '#console/page';
import { frame, nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';
import { changesBetween, fileDiffs } from './changes.ts';
import { commitData, signatureText } from './commit-list.ts';
import { checkSignatures } from './signatures.ts';

/** The parent of a first commit: the empty tree. */
const EMPTY_TREES: Readonly<Record<number, string>> = {
  40: '4b825dc642cb6eb9a060e54bf8d69288fbee4904',
  64: '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321',
};

/** Shows a commit and its change against its first parent. */
export async function commitPage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { commit, path } = visit;
  const { id, message, parents } = commit;
  const checks = await checkSignatures(visit, [commit]);
  const changes = await changesBetween(visit, parents[0] ?? EMPTY_TREES[id.length] ?? '', id);
  return {
    title: `${commit.subject} · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, commit: commitData(commit, checks), ...changes },
    body: html`${frame(visit)}
<h2>${commit.subject}</h2>
<dl>
<dt>Commit</dt><dd><code>${id}</code></dd>
${parents.map((parent) => html`<dt>Parent</dt><dd>${commitLink(path, parent)}</dd>`)}
<dt>Author</dt><dd>${person(commit.author)}</dd>
<dt>Committer</dt><dd>${person(commit.committer)}</dd>
<dt>Signature</dt><dd>${signatureText(commit, checks) ?? 'none'}</dd>
</dl>
<pre class="message">${message}</pre>
<p><a href="${repositoryAddress(path, 'files', { query: { ref: id } })}">Files at this commit</a></p>
${fileDiffs(changes)}`,
  };
}

function commitLink(path: string, id: string): Html {
  return link(repositoryAddress(path, 'commit', { rest: id }), html`<code>${id}</code>`);
}

function person({ date, email, name }: Signature): Html {
  return html`${name} &lt;${email}&gt;, ${instant(date)}`;
}
