import { LLMS_PATH } from '#gateway/http/pages/page-source';
import { assetAddress } from '../assets.ts';
import { CONSOLE_PATH } from '../console-route.ts';
import type { ConsolePage, Section } from '../page.ts';
import { type Html, html, trusted } from './html.ts';

const SECTIONS: readonly (readonly [Section, string])[] = [
  ['overview', 'Overview'],
  ['repositories', 'Repositories'],
  ['cluster', 'Cluster'],
  ['running', 'Running'],
  ['slow', 'Slow'],
  ['webhooks', 'Webhooks'],
  ['mirrors', 'Mirrors'],
  ['account', 'Account'],
];

export interface DocumentOptions {
  readonly isSignedIn: boolean;
  /** Entries of the main navigation. */
  readonly sections: ReadonlySet<Section>;
  /** Address of the description of the API; `undefined` without it. */
  readonly apiAddress: string | undefined;
}

export function document(
  { body, isLive = false, section, title }: ConsolePage,
  { apiAddress, isSignedIn, sections }: DocumentOptions,
): string {
  const links = SECTIONS.filter(([name]) => sections.has(name)).map(([name, text]) => {
    const current = name === section ? html` aria-current="page"` : undefined;
    return html`<a href="${CONSOLE_PATH}/${name}"${current}>${text}</a>`;
  });
  const signIn = isSignedIn ? undefined : html`<a class="sign-in" href="${CONSOLE_PATH}/sign-in">Sign in</a>`;
  // Not in the template: the bundler changes templates that contain the end of a script.
  const script = trusted(`<script type="module" src="${assetAddress('console.mjs')}"></script>`);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · gitaly-ts</title>
<link rel="icon" href="${assetAddress('icon.svg')}">
<link rel="stylesheet" href="${assetAddress('style.css')}">
${script}
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header><nav aria-label="Console"><span class="brand">gitaly-ts</span>${links}${signIn}</nav></header>
<main id="main"${isLive ? html` data-live` : undefined}>
${body}
</main>
${apiAddress && footer(apiAddress)}
</body>
</html>
`.toString();
}

function footer(apiAddress: string): Html {
  return html`<footer><a href="${apiAddress}">API (OpenAPI)</a>,
<a href="${LLMS_PATH}">for agents</a></footer>`;
}
