import { type Html, html } from './html/html.ts';

/** An entry of the main navigation. */
export type Section =
  | 'overview'
  | 'repositories'
  | 'cluster'
  | 'running'
  | 'slow'
  | 'webhooks'
  | 'mirrors'
  | 'account';

/** A page of the console, for people and as JSON at the same address. */
export interface ConsolePage {
  readonly status?: number;
  readonly title: string;
  /** The JSON form. */
  readonly data: unknown;
  readonly body: Html;
  /** Entry of the main navigation that the page belongs to. */
  readonly section?: Section;
  /** The address of a page to go to instead. */
  readonly location?: string;
  /** Refreshes the page's live parts at intervals, where the client runs scripts. */
  readonly isLive?: boolean;
}

export function problemPage(status: number, title: string, text: string): ConsolePage {
  return {
    status,
    title,
    data: { error: text },
    body: html`<h1>${title}</h1><p>${text}</p>`,
  };
}

/** The answer while a process of the server does not respond: it starts again, or is too busy. */
export function unresponsivePage(section: Section, title: string): ConsolePage {
  const text = 'The server does not respond in time. The page is shown as soon as it does.';
  return {
    ...problemPage(503, title, text),
    section,
    isLive: true,
    body: html`<h1>${title}</h1><div data-refresh><p>${text}</p></div>`,
  };
}

/** The response to a change at an address that accepts no changes. */
export function cannotPost(): ConsolePage {
  return problemPage(405, 'Not possible', 'There is nothing to change at this address.');
}

/** The response to an unknown address, and to a hidden one. */
export function notFound(): ConsolePage {
  return problemPage(404, 'Not found', 'There is no such page. Check the address.');
}
