import { join } from 'node:path';
import { dateOfSeconds } from '#base/date-of-seconds';
import { issueToken, NEVER_EXPIRES_AT } from '#tokens/issue';
import { RuleError } from '#tokens/push-rule';
import { pushRuleKinds } from '#tokens/push-rules';
import { describeScope, formatScope, parseScope } from '#tokens/scope';
import { type IssuedToken, TokenStore } from '#tokens/token-store';
import { commandsIn, printResult, type ToolConsole, type Used } from '../commands/tool-command.ts';

/** Options of all commands `gitaly-ts token`. */
export interface TokenOptions {
  readonly to: string;
  readonly json?: boolean;
}

export interface CreateTokenOptions extends TokenOptions {
  readonly repository?: readonly string[];
  readonly access: string;
  /** Seconds. */
  readonly expires: number;
  /** Values of the options of rules, by the name of the rule. */
  readonly rules: Readonly<Record<string, readonly string[]>>;
}

/** Returns the directory of tokens in a directory of `gitaly-ts up`. */
export function tokensIn(directory: string): string {
  return join(directory, 'tokens');
}

type Use<Options> = Used<{ readonly store: TokenStore }, TokenOptions & Options, ToolConsole>;

const command = commandsIn<TokenOptions, ToolConsole, { readonly store: TokenStore }>(
  ({ json, to }, on, work) => {
    const isUsage = (error: unknown): boolean => error instanceof RuleError || error instanceof RangeError;
    const store = new TokenStore(tokensIn(to));
    return printResult(() => work({ store }), { group: 'token', json, on, isUsage });
  },
);

/** Runs `gitaly-ts token create`. */
export const createToken = command(async ({ on, options, store }: Use<CreateTokenOptions>, name: string) => {
  const { access, expires, repository: repositories, rules } = options;
  if (repositories === undefined) throw new RangeError('name repositories: --repository PATTERN');
  const given = pushRuleKinds().flatMap(([kind, { option }]) => {
    const values = rules[kind];
    return values === undefined || option === undefined ? [] : [[kind, option.parse(values)]];
  });
  const scope = parseScope({ access, repositories, ...Object.fromEntries(given) });
  const made = await issueToken(store, { subject: name, scope, lifetimeSeconds: expires });
  on.stderr.write(`Token ${made.id} for ${name}, valid ${endOf(made.expiresAt)}. It is shown only once:\n`);
  return { json: made, lines: [made.token] };
});

/** Runs `gitaly-ts token list`. */
export const listTokens = command(async ({ store }) => {
  const tokens = await store.list();
  const json = tokens.map(({ scope, ...token }) => ({
    ...token,
    ...(scope && { scope: formatScope(scope) }),
  }));
  return { json, lines: tokens.map(lineOf) };
});

function lineOf({ expiresAt, id, isExpired, isRevoked, scope, subject }: IssuedToken): string {
  const state = isRevoked ? 'revoked' : isExpired ? `expired ${timeOf(expiresAt)}` : endOf(expiresAt);
  if (scope === undefined) return `${id}  ${subject || '?'}  unreadable for this version  ${state}`;
  return `${id}  ${subject}  ${describeScope(scope)}  ${state}`;
}

function endOf(expiresAt: number): string {
  if (expiresAt === 0) return 'with an unknown end';
  return expiresAt === NEVER_EXPIRES_AT ? 'without an end' : `until ${timeOf(expiresAt)}`;
}

function timeOf(seconds: number): string {
  return dateOfSeconds(seconds).toISOString();
}

/** Runs `gitaly-ts token revoke`. */
export const revokeTokens = command(
  async ({ options, store }: Use<{ readonly name?: string }>, ids: readonly string[]) => {
    const { name } = options;
    const listed = name === undefined ? [] : await store.list();
    const named = listed.filter(({ isExpired, subject }) => subject === name && !isExpired);
    const all = [...ids, ...named.map(({ id }) => id)];
    if (all.length === 0)
      throw new RangeError(
        name === undefined ? 'give ids of tokens, or --name' : `${name} has no token that is valid`,
      );
    for (const id of all) await store.revoke(id);
    return { json: { revoked: all }, lines: all.map((id) => `revoked ${id}`) };
  },
);

/** Runs `gitaly-ts token rotate-keys`. */
export const rotateKeys = command(
  async ({ options, store }: Use<{ readonly remove?: readonly string[] }>) => {
    await store.prepare();
    const { remove = [] } = options;
    const before = await store.keyIds();
    const missing = remove.find((id) => !before.includes(id));
    if (missing !== undefined) throw new RangeError(`there is no key ${missing}; keys: ${before.join(' ')}`);
    const created = await store.addKey();
    for (const id of remove) await store.removeKey(id);
    const keys = await store.keyIds();
    const lines = [`created key ${created}`, ...remove.map((id) => `removed key ${id}`)];
    return { json: { created, removed: remove, keys }, lines: [...lines, `keys: ${keys.join(' ')}`] };
  },
);
