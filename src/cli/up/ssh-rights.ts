import type { Identity, Right } from '#gateway/index';
import { describeGrant } from '#gateway/rights';
import { accessTo, mayAdminister, type TokenScope } from '#tokens/scope';

/** Rights of who is logged in. */
export interface Holder {
  /** Returns the right to a repository; `undefined` for none. */
  at(path: string): Promise<Right | undefined>;
  /** Returns the rights in words. */
  describe(): Promise<string[]>;
}

/** Returns the rights of a user. @param byDefault right to everything of one without rights or a scope. */
export function holderOf({ rights, scope }: Identity, byDefault: Right): Holder {
  if (rights !== undefined)
    return {
      at: (path) => rights.at(path),
      describe: async () => (await rights.grants()).map(describeGrant),
    };
  if (scope !== undefined)
    return {
      at: async (path) => rightOfToken(scope, path),
      describe: async () => [`${scope.access} ${scope.repositories.join(', ')}`],
    };
  return {
    at: async () => byDefault,
    describe: async () => [describeGrant({ right: byDefault, paths: [] })],
  };
}

/** An administrator whose pushes have rules may change no repository otherwise. */
function rightOfToken(scope: TokenScope, path: string): Right | undefined {
  const access = accessTo(scope, path);
  return access === 'admin' && !mayAdminister(scope, path) ? 'write' : access;
}

/** Returns the lines for a login without a command. */
export async function descriptionOf(holder: Holder, { credential }: Identity): Promise<string[]> {
  const rights = await holder.describe();
  const by = credential === undefined ? [] : [`Logged in with the ${credential.kind} ${credential.name}.`];
  return [...by, `You may: ${rights.length === 0 ? 'nothing' : rights.join('; ')}.`];
}
