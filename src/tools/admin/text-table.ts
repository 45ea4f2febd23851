import { styleText } from 'node:util';

/** A cell: its text, and the style on a terminal. */
export type Cell = string | { readonly text: string; readonly style: Style };
export type Style = 'green' | 'red' | 'yellow' | 'cyan' | 'bold';

const GAP = '  ';

/** Styles a text if `isColored`. */
export function styled(text: string, style: Style, isColored: boolean): string {
  return isColored ? styleText(style, text, { validateStream: false }) : text;
}

/** Returns rows as aligned columns, one line each; the last column of a row is not padded. */
export function textTable(rows: readonly (readonly Cell[])[], isColored: boolean): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.slice(0, -1).entries())
      widths[column] = Math.max(widths[column] ?? 0, cellText(cell).length);
  return rows.map((row) => `${lineOf(row, widths, isColored)}\n`).join('');
}

function lineOf(row: readonly Cell[], widths: readonly number[], isColored: boolean): string {
  return row
    .map((cell, column) => {
      const text = cellText(cell);
      const shown = typeof cell === 'string' ? text : styled(text, cell.style, isColored);
      const isLast = column === row.length - 1;
      return isLast ? shown : shown + ' '.repeat((widths[column] ?? 0) - text.length) + GAP;
    })
    .join('');
}

function cellText(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}
