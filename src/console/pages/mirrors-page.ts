import { repositoryAddress } from '../console-route.ts';
import { link, wideTable } from '../html/elements.ts';
import { formatDuration, instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import type { MirrorSource, MirrorState } from '../mirror-source.ts';
import { type ConsolePage, problemPage } from '../page.ts';
import { nameOf } from './repository-frame.ts';

/** Mirrors of a page; those that failed come first. */
const MAX_SHOWN = 500;
const HEADINGS = ['Repository', 'Source', 'Interval', 'Last run', 'Last success', 'Problem'];

/** Shows the mirrors of a server with the results of their last runs. */
export async function mirrorsPage(mirrors: MirrorSource | undefined): Promise<ConsolePage> {
  if (mirrors === undefined)
    return problemPage(404, 'Not available', 'The console of gitaly-ts up has this page.');
  const all = await mirrors.states();
  const sorted = all.toSorted((one, other) => failuresOf(other) - failuresOf(one));
  const shown = sorted.slice(0, MAX_SHOWN);
  return {
    title: 'Mirrors',
    section: 'mirrors',
    isLive: true,
    data: { mirrors: shown.map(mirrorData), count: all.length },
    body: html`<h1>Mirrors</h1>
<div data-refresh>
${
  all.length === 0
    ? html`<p>There are none. gitaly-ts repo mirror sets one.</p>`
    : wideTable('Mirrors', HEADINGS, shown.map(row))
}
${all.length > shown.length ? html`<p>${all.length - shown.length} mirrors are not shown.</p>` : undefined}
</div>`,
  };
}

/** Returns the JSON form of a mirror. */
export function mirrorData({ everySeconds, lastRun, repository, url }: MirrorState) {
  return { repository, url, everySeconds, lastRun: lastRun ?? null };
}

export function describedMirror(mirror: MirrorState): Html {
  return html`<dl>${cellsOf(mirror).map((cell, index) =>
    cell === undefined ? undefined : html`<dt>${HEADINGS[index + 1]}</dt><dd>${cell}</dd>`,
  )}</dl>`;
}

function row(mirror: MirrorState): readonly Part[] {
  const { repository } = mirror;
  return [link(repositoryAddress(repository, 'settings'), nameOf(repository)), ...cellsOf(mirror)];
}

function cellsOf({ everySeconds, lastRun, url }: MirrorState): readonly Part[] {
  return [
    url,
    formatDuration(everySeconds * 1000),
    lastRun ? instant(new Date(lastRun.at)) : 'not yet',
    lastRun?.succeededAt && instant(new Date(lastRun.succeededAt)),
    lastRun?.problem,
  ];
}

function failuresOf({ lastRun }: MirrorState): number {
  return lastRun?.failures ?? 0;
}
