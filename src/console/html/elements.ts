import { type Html, html, type Part } from './html.ts';

/** Returns a table. Each row has a cell for each heading. */
export function table(headings: readonly Part[], rows: readonly (readonly Part[])[]): Html {
  return tableOf(headings, rows, (cell) => html`<td>${cell}</td>`);
}

/**
 * Returns a table with many columns in a frame that scrolls, also with the keyboard. Narrow screens
 * show a row as a list of headings with their values.
 *
 * @param name for readers.
 */
export function wideTable(name: string, ...[headings, rows]: Parameters<typeof table>): Html {
  const cellOf = (cell: Part, index: number): Html => {
    const heading = headings[index];
    return typeof heading === 'string'
      ? html`<td data-heading="${heading}">${cell}</td>`
      : html`<td>${cell}</td>`;
  };
  return html`<div class="wide" tabindex="0" role="region" aria-label="${name}">
${tableOf(headings, rows, cellOf)}
</div>`;
}

function tableOf(
  headings: readonly Part[],
  rows: readonly (readonly Part[])[],
  cellOf: (cell: Part, index: number) => Html,
): Html {
  const head = headings.map((heading) => html`<th scope="col">${heading}</th>`);
  const body = rows.map((cells) => html`<tr>${cells.map(cellOf)}</tr>\n`);
  return html`<table>\n<thead><tr>${head}</tr></thead>\n<tbody>${body}</tbody>\n</table>`;
}

/** Returns a link. */
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
