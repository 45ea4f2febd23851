import { formatPushRules, type PushRules } from '#tokens/push-rules';
import type { HookCall } from '../hook-call.ts';
import { checkReferences } from './check-references.ts';
import { type PushChanges, pushChanges, RuleRefusal } from './push-changes.ts';

/** @throws {RuleRefusal} that names the rule, and any error if the push cannot be checked. */
type Check<V> = (rule: V, push: PushChanges) => Promise<void> | void;

/** The check of each kind of rule. */
export const PUSH_RULE_CHECKS: { readonly [N in keyof PushRules]-?: Check<PushRules[N]> } = {
  references: checkReferences,
};

/**
 * Checks a push by the rules of the token with which it came: all that limit something.
 *
 * @param changes lines `<old> <new> <reference>\n`.
 * @throws {RuleRefusal} that names the rule; {GitalyError} and {GitExitError} when the push cannot
 *   be checked: it is refused, too.
 */
export async function checkPushRules(call: HookCall, rules: PushRules, changes: Buffer): Promise<void> {
  const push = pushChanges(call, changes);
  // The names are those of the rules.
  for (const name of Object.keys(formatPushRules(rules)) as (keyof PushRules)[]) {
    const check: Check<PushRules[typeof name]> | undefined = PUSH_RULE_CHECKS[name];
    if (check === undefined)
      throw new RuleRefusal(`the server has no check for the rule ${name} of the token`);
    await check(rules[name], push);
  }
}
