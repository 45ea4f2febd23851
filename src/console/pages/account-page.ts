import { dateOfSeconds } from '#base/date-of-seconds';
import { codeOf, messageOf } from '#base/gitaly-error';
import type { AccountFacts, PageAnswer } from '#gateway/http/pages/page-source';
import { CONSOLE_PATH, withQuery } from '../console-route.ts';
import { wideTable } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import { type ConsolePage, cannotPost, problemPage } from '../page.ts';
import type { Visit } from '../visit.ts';

type Kind = 'key' | 'token';

/** Name of each removal, and the report of the page after it. */
const REMOVALS = {
  key: { button: 'Remove', notice: 'The key was removed.' },
  token: { button: 'Revoke', notice: 'The token was revoked.' },
} as const;
const KINDS: readonly Kind[] = ['key', 'token'];
const ADDRESS = `${CONSOLE_PATH}/account`;

/** Shows who is signed in, with the rights, keys and tokens, and removes these. It has no secrets. */
export async function accountPage(visit: Visit): Promise<ConsolePage | PageAnswer> {
  const { access } = visit;
  if (access.account === undefined)
    return problemPage(404, 'Not available', 'This server knows nothing about its users.');
  const account = await access.account();
  if (account === undefined)
    return access.hasCredentials
      ? problemPage(403, 'Refused', 'The name, password or token is wrong, or the server does not know it.')
      : access.signIn;
  return visit.isPost ? await remove(visit, account) : shownAccount(visit, account);
}

/** Removes the key or the token that a form names. */
async function remove({ access, form }: Visit, { credential }: AccountFacts): Promise<ConsolePage> {
  const kind = KINDS.find((each) => form.has(each));
  if (kind === undefined || access.removeOwn === undefined) return cannotPost();
  const secret = { kind, name: form.get(kind) ?? '' };
  let isRemoved: boolean;
  try {
    isRemoved = await access.removeOwn(secret);
  } catch (error) {
    if (codeOf(error) !== 'FAILED_PRECONDITION') throw error;
    return problemPage(422, 'Not changed', `Nothing was changed: ${messageOf(error)}.`);
  }
  if (!isRemoved) return problemPage(404, 'Not found', `You have no such ${kind} that you may remove here.`);
  const { notice } = REMOVALS[kind];
  const data = { removed: kind };
  if (credential.kind === kind && credential.name === secret.name)
    return { ...problemPage(200, 'Signed out', `${notice} You were signed in with it.`), data };
  return { ...problemPage(200, 'Changed', notice), data, location: withQuery(ADDRESS, data) };
}

function shownAccount(visit: Visit, account: AccountFacts): ConsolePage {
  const { keys, name, rights, tokens } = account;
  const removed = KINDS.find((kind) => kind === visit.query.get('removed'));
  return {
    title: 'Account',
    section: 'account',
    data: {
      ...account,
      tokens: tokens.map(({ expiresAt, ...token }) => ({ ...token, expires: endOf(expiresAt) ?? null })),
    },
    body: html`<h1>Account</h1>
${removed && html`<p class="notice" role="status">${REMOVALS[removed].notice}</p>`}
<dl>
<dt>Name</dt><dd>${name}</dd>
<dt>Signed in with</dt><dd>${loginOf(account)}</dd>
<dt>Rights</dt><dd>${rights.length === 0 ? 'none' : rights.join('; ')}</dd>
</dl>
<h2>SSH keys</h2>
${secretTable(visit, {
  kind: 'key',
  heading: 'Fingerprint',
  rows: keys.map((key) => ({
    ...key,
    id: key.fingerprint,
    cells: [html`<code>${key.fingerprint}</code>`, key.scope],
  })),
})}
<h2>Tokens</h2>
${secretTable(visit, {
  kind: 'token',
  heading: 'End',
  rows: tokens.map((token) => ({
    ...token,
    id: token.name,
    cells: [shownEnd(token.expiresAt), token.scope],
  })),
})}
<p class="note">Administrators add keys and tokens: gitaly-ts user, gitaly-ts token.</p>`,
  };
}

interface SecretTable {
  readonly kind: Kind;
  /** Of the second column. */
  readonly heading: string;
  readonly rows: readonly {
    readonly name: string;
    /** Value that the form sends. */
    readonly id: string;
    readonly cells: readonly Part[];
    readonly isRemovable: boolean;
  }[];
}

/** Returns the keys or tokens, with a button for each that the user may remove. */
function secretTable(visit: Visit, { heading, kind, rows }: SecretTable): Html {
  if (rows.length === 0) return html`<p>There are none.</p>`;
  const hasButtons = rows.some(({ isRemovable }) => isRemovable);
  const { button } = REMOVALS[kind];
  return wideTable(
    kind === 'key' ? 'SSH keys' : 'Tokens',
    ['Name', heading, 'Allows', ...(hasButtons ? [button] : [])],
    rows.map(({ cells, id, isRemovable, name }) => [
      name,
      ...cells,
      ...(hasButtons
        ? [
            isRemovable
              ? html`<form method="post" action="${withQuery(ADDRESS, visit.formParameters)}">
<input type="hidden" name="${kind}" value="${id}">
<button aria-label="${button} ${kind} ${name}">${button}</button>
</form>`
              : undefined,
          ]
        : []),
    ]),
  );
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
