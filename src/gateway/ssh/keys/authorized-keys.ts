import { type PublicKey, weaknessOf } from './public-key.ts';

/** A key that may log in. */
export interface AuthorizedKey extends PublicKey {
  /** Line number in the file, from 1. */
  readonly line: number;
  /** The text after the key, or empty. */
  readonly comment: string;
}

/** A refused line. */
export interface UnusedLine {
  readonly line: number;
  readonly reason: string;
}

/** Options that are ignored: this gateway never offers what sshd's options disable or enable. */
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

/**
 * Matches options (quotes protect blanks and commas, a backslash protects a quote), if any; type;
 * base64; comment.
 */
const LINE =
  /^(?:(?<options>(?:[^\s"]|"(?:\\.|[^"\\])*")+)[ \t]+)?(?<type>(?:ssh|ecdsa|sk)-[\w@.-]+)[ \t]+(?<data>[A-Za-z0-9+/]+={0,2})(?:[ \t]+(?<comment>.*))?$/;
/** Longest line that is read; a key of 16,384 bits has 2,800 bytes. */
const MAX_LINE_BYTES = 16 << 10;
const OPTION = /(?<name>[\w-]+)(?:="(?:\\.|[^"\\])*")?(?:,|$)/gy;

/**
 * Parses an `authorized_keys` file as sshd does (sshd(8), AUTHORIZED_KEYS FILE FORMAT). Refuses a
 * line with an option that restricts the key (`command=`, `from=`, `expiry-time=`, `cert-authority`
 * …), because this gateway cannot enforce it.
 */
export function parseAuthorizedKeys(text: string): {
  readonly keys: AuthorizedKey[];
  readonly unused: UnusedLine[];
} {
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

/** Returns the key, or the reason why the line is refused. */
function parseLine(content: string): Omit<AuthorizedKey, 'line'> | string {
  if (content.length > MAX_LINE_BYTES) return `it is longer than ${MAX_LINE_BYTES} bytes`;
  const { comment = '', data, options, type } = LINE.exec(content)?.groups ?? {};
  if (type === undefined || data === undefined) return 'it is not a public key in the format of ssh-keygen';
  const reason = options === undefined ? undefined : reasonAgainst(options);
  if (reason !== undefined) return reason;
  const key = { type, data: Buffer.from(data, 'base64'), comment };
  return weaknessOf(key) ?? key;
}

function reasonAgainst(options: string): string | undefined {
  let end = 0;
  for (const { 0: whole, groups, index } of options.matchAll(OPTION)) {
    const name = (groups?.name ?? '').toLowerCase();
    if (!OPTIONS_WITHOUT_EFFECT.has(name)) return `this server cannot enforce the option ${name}`;
    end = index + whole.length;
  }
  return end === options.length ? undefined : 'its options cannot be parsed';
}
