import { repositoryAddress } from '#console/console-route';
import { codeFrame, link } from '#console/html/elements';
import { formatCount } from '#console/html/format';
import { type Html, html, type Part } from '#console/html/html';
import { MAX_RENDERED_BYTES } from '#console/rendering/renderer';
import { nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';
import { baseName, looksBinary } from './file-kind.ts';

/** Longer files are cut here. */
export const MAX_SHOWN_BYTES = MAX_RENDERED_BYTES;
const MARKDOWN = /\.(?:md|markdown)$/i;

/** Returns a file as markup: rendered, as code, or that it is binary. */
export async function contents(
  { path, renderer, revision }: RepositoryVisit,
  { bytes, path: file }: { readonly bytes: Buffer; readonly path: Buffer },
): Promise<Html> {
  if (looksBinary(bytes)) return html`<p>A binary file.</p>`;
  const text = bytes.toString().replaceAll('\r\n', '\n');
  const name = baseName(file);
  if (MARKDOWN.test(name)) {
    const directory = file.subarray(0, Math.max(0, file.lastIndexOf('/')));
    const base = `${repositoryAddress(path, 'files', { rest: directory })}/`;
    const query = `?${new URLSearchParams({ ref: revision })}`;
    const rendered = await renderer.render({ kind: 'markdown', text, base, query });
    if (rendered !== undefined) return html`<div class="prose">${rendered}</div>`;
  }
  const lines = Math.max(1, text.split('\n').length - (text.endsWith('\n') ? 1 : 0));
  const code = (await renderer.render({ kind: 'code', text, name })) ?? html`${text}`;
  const numbers = Array.from({ length: lines }, (_, index) => index + 1).join('\n');
  return html`<p class="note">${formatCount(lines, 'line')}</p>
${codeFrame(`Contents of ${name}`, code, numbers)}`;
}

/** Returns links to the directories above what is shown, and the chosen revision. */
export function trail({ path, rest, revision }: RepositoryVisit): Html {
  const query = { ref: revision };
  const links: Part[] = [link(repositoryAddress(path, 'files', { query }), nameOf(path))];
  for (let end = rest.indexOf('/'); end !== -1; end = rest.indexOf('/', end + 1)) {
    const above = rest.subarray(0, end);
    links.push(' / ', link(repositoryAddress(path, 'files', { rest: above, query }), baseName(above)));
  }
  const last = rest.length === 0 ? undefined : html` / <strong>${baseName(rest)}</strong>`;
  const at = html`<span class="revision">at <strong>${revision}</strong></span>`;
  return html`<p class="trail">${links}${last} ${at}</p>`;
}
