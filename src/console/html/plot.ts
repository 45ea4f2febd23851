import { type Html, html } from './html.ts';

export interface PlotOptions {
  /** Heading, with the unit. */
  readonly title: string;
  /** The oldest first, none below 0. */
  readonly values: readonly number[];
  /** Number of values of a full plot. A plot with fewer values starts further right. */
  readonly size: number;
  readonly format: (value: number) => string;
}

const WIDTH = 360;
const HEIGHT = 60;

/**
 * Returns a line chart of values as a small image. Its alternative text names the last and the
 * largest value.
 */
export function plot({ format, size, title, values }: PlotOptions): Html {
  const largest = values.reduce((max, value) => Math.max(max, value), 0);
  const last = values.at(-1) ?? 0;
  const text = values.length === 0 ? 'no figures yet' : `${format(last)}, at most ${format(largest)}`;
  const start = Math.max(0, size - values.length);
  const points = values.map((value, index) => {
    const x = ((start + index) * WIDTH) / Math.max(1, size - 1);
    const y = HEIGHT - (largest === 0 ? 0 : (value / largest) * (HEIGHT - 2)) - 1;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return html`<figure class="plot"><figcaption>${title}: ${text}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
<polyline points="${points.join(' ')}"/></svg></figure>`;
}
