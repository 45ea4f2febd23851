import { type PublicKey, weaknessOf } from './public-key.ts';

/** A key that may log in. */
export interface AuthorizedKey extends PublicKey {
  /** Of the line in the file, from 1. */
  readonly line: number;
  /** What stands behind the key; empty when there is nothing. */
  readonly comment: string;
}

/** A line that lets nobody in. */
export interface UnusedLine {
  readonly line: number;
  readonly reason: string;
}

/** What sshd's options take away is never given here, and what they give is never given either; so these say nothing new. */
const OPTIONS_WITHOUT_EFFECT = new Set([
  'agent-forwarding',
  'environment',
  'no-agent-forwarding',
  'no-port-forwarding',
  'no-pty',
  'no-user-rc',
  'no-x11-forwarding',
  'permitlisten',
  'permitopen',
  'port-forwarding',
  'pty',
  'restrict',
  'tunnel',
  'user-rc',
  'x11-forwarding',
]);

/** Options (quotes protect blanks and commas, a backslash protects a quote), if any; type; base64; comment. */
const LINE =
  /^(?:(?<options>(?:[^\s"]|"(?:\\.|[^"\\])*")+)[ \t]+)?(?<type>(?:ssh|ecdsa|sk)-[\w@.-]+)[ \t]+(?<data>[A-Za-z0-9+/]+={0,2})(?:[ \t]+(?<comment>.*))?$/;
const OPTION = /(?<name>[\w-]+)(?:="(?:\\.|[^"\\])*")?(?:,|$)/gy;

/**
 * Reads an `authorized_keys` file as sshd does (sshd(8), AUTHORIZED_KEYS FILE FORMAT). A line with an option that narrows what the key
 * may do (`command=`, `from=`, `expiry-time=`, `cert-authority` …) is not used at all, since this door could not keep to it.
 */
export function parseAuthorizedKeys(text: string): { readonly keys: AuthorizedKey[]; readonly unused: UnusedLine[] } {
  const keys: AuthorizedKey[] = [];
  const unused: UnusedLine[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const content = raw.trim();
    if (content === '' || content.startsWith('#')) continue;
    const line = index + 1;
    const found = parseLine(content);
    if (typeof found === 'string') unused.push({ line, reason: found });
    else keys.push({ ...found, line });
  }
  return { keys, unused };
}

/** The key, or why the line is not used. */
function parseLine(content: string): Omit<AuthorizedKey, 'line'> | string {
  const { comment = '', data, options, type } = LINE.exec(content)?.groups ?? {};
  if (type === undefined || data === undefined) return 'it is not a public key as ssh-keygen writes it';
  const reason = options === undefined ? undefined : reasonAgainst(options);
  if (reason !== undefined) return reason;
  const key = { type, data: Buffer.from(data, 'base64'), comment };
  return weaknessOf(key) ?? key;
}

function reasonAgainst(options: string): string | undefined {
  let end = 0;
  for (const { 0: whole, groups, index } of options.matchAll(OPTION)) {
    const name = (groups?.name ?? '').toLowerCase();
    if (!OPTIONS_WITHOUT_EFFECT.has(name)) return `the option ${name} cannot be kept to here`;
    end = index + whole.length;
  }
  return end === options.length ? undefined : 'its options cannot be read';
}
