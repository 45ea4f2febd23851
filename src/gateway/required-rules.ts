import { GitalyError, messageOf } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import { REFERENCE_RULES_REQUIRED } from '#rpc/common/header-names';
import { isUnrestricted } from '#tokens/push-rules';
import type { Identity } from './identity.ts';

/** A server refuses {@link requiredRules}, or does not understand one of the rules. */
const UNKNOWN_RULES = new RegExp(`${REFERENCE_RULES_REQUIRED}|^reference rules: `);

/**
 * Returns the settings of a push, which a server refuses that does not know the rules of tokens.
 * Without them it would ignore the metadata with the rules, and accept everything.
 */
export function requiredRules({ scope }: Identity): { gitConfigOptions: string[] } {
  return { gitConfigOptions: isUnrestricted(scope) ? [] : [REFERENCE_RULES_REQUIRED] };
}

/** The server behind a gateway does not know the rules of a token. The message is for its holder. */
export class UnknownRulesError extends GitalyError {
  override readonly name = 'UnknownRulesError';
}

/** Throws the error of a push, with a hint if the server does not know the rules of its token. */
export function explainUnknownRules(error: unknown): never {
  if (!(error instanceof CallError) || !UNKNOWN_RULES.test(messageOf(error))) throw error;
  const text = 'The Git server is too old for the rules of this token, so it refuses the push. Update it.';
  throw new UnknownRulesError('UNIMPLEMENTED', text, { cause: error });
}
