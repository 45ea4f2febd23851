import { type Html, html, type Part } from './html.ts';

/** Returns a table. Each row has a cell for each heading. */
export function table(headings: readonly Part[], rows: readonly (readonly Part[])[]): Html {
  const head = headings.map((heading) => html`<th scope="col">${heading}</th>`);
  const body = rows.map((cells) => html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`);
  return html`<table>\n<thead><tr>${head}</tr></thead>\n<tbody>${body}</tbody>\n</table>`;
}

/**
 * Returns a table with many columns in a frame that scrolls, also with the keyboard. Narrow screens
 * show a row as a list of headings with their values; the roles keep it a table for screen readers.
 *
 * @param name for readers.
 */
export function wideTable(name: string, ...[headings, rows]: Parameters<typeof table>): Html {
  const head = headings.map((heading) => html`<th scope="col" role="columnheader">${heading}</th>`);
  const names = headings.map((heading) =>
    typeof heading === 'string' ? html` data-heading="${heading}"` : undefined,
  );
  const cellOf = (cell: Part, index: number): Html => html`<td role="cell"${names[index]}>${cell}</td>`;
  const body = rows.map((cells) => html`<tr role="row">${cells.map(cellOf)}</tr>\n`);
  return html`<div class="wide" tabindex="0" role="region" aria-label="${name}">
<table role="table">\n<thead role="rowgroup"><tr role="row">${head}</tr></thead>
<tbody role="rowgroup">${body}</tbody>\n</table>
</div>`;
}

export function link(address: string, text: Part): Html {
  return html`<a href="${address}">${text}</a>`;
}

/** Returns lines of code in a frame that scrolls, also with the keyboard. @param name for readers. */
export function codeFrame(name: string, code: Part, numbers?: Part): Html {
  const beside = numbers && html`<pre class="numbers" aria-hidden="true">${numbers}</pre>`;
  return html`<div class="code" tabindex="0" role="region" aria-label="${name}">
${beside}<pre><code>${code}</code></pre>
</div>`;
}
