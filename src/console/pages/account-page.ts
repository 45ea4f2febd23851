import { dateOfSeconds } from '#base/date-of-seconds';
import type { AccountFacts, PageAnswer } from '#gateway/http/pages/page-source';
import { wideTable } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { html } from '../html/html.ts';
import { type Page, problemPage } from '../page.ts';
import type { Visit } from '../visit.ts';

/** Shows who is signed in, with the rights, keys and tokens. It has no secrets. */
export async function accountPage({ access }: Visit): Promise<Page | PageAnswer> {
  if (access.account === undefined)
    return problemPage(404, 'Not available', 'This server knows nothing about its users.');
  const account = await access.account();
  if (account === undefined)
    return access.hasCredentials
      ? problemPage(403, 'Refused', 'The name, password or token is wrong, or the server does not know it.')
      : access.signIn;
  const { keys, name, rights, tokens } = account;
  return {
    title: 'Account',
    section: 'account',
    data: {
      ...account,
      tokens: tokens.map(({ expiresAt, ...token }) => ({ ...token, expires: endOf(expiresAt) ?? null })),
    },
    body: html`<h1>Account</h1>
<dl>
<dt>Name</dt><dd>${name}</dd>
<dt>Signed in with</dt><dd>${loginOf(account)}</dd>
<dt>Rights</dt><dd>${rights.length === 0 ? 'none' : rights.join('; ')}</dd>
</dl>
<h2>SSH keys</h2>
${
  keys.length === 0
    ? html`<p>There are none.</p>`
    : wideTable(
        'SSH keys',
        ['Name', 'Fingerprint', 'Allows'],
        keys.map((key) => [key.name, html`<code>${key.fingerprint}</code>`, key.scope]),
      )
}
<h2>Tokens</h2>
${
  tokens.length === 0
    ? html`<p>There are none.</p>`
    : wideTable(
        'Tokens',
        ['Name', 'Allows', 'End'],
        tokens.map((token) => [token.name, token.scope, shownEnd(token.expiresAt)]),
      )
}
<p class="note">Administrators add and remove keys and tokens: gitaly-ts user, gitaly-ts token.</p>`,
  };
}

function loginOf({ credential: { kind, name } }: AccountFacts): string {
  return name === '' ? kind : `${kind} ${name}`;
}

function endOf(seconds: number | undefined): Date | undefined {
  return seconds === undefined ? undefined : dateOfSeconds(seconds);
}

function shownEnd(seconds: number | undefined) {
  const end = endOf(seconds);
  return end ? instant(end) : 'none';
}
