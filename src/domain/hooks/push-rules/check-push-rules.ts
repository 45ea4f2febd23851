import type { ReadOnlyRule } from '#tokens/content-rules';
import { formatPushRules, type PushRules } from '#tokens/push-rules';
import { applying } from '#tokens/restriction';
import type { HookCall } from '../hook-call.ts';
import { checkLargestFile, checkMessage, checkPaths, checkSignature } from './check-contents.ts';
import { checkProtected } from './check-protected.ts';
import { checkReferences } from './check-references.ts';
import { type MovedReference, refusal, ruledReferences } from './moved-reference.ts';
import { checkEach, type PushChanges, pushChanges, RuleRefusal } from './push-changes.ts';
import { rulesOfRepository } from './repository-rules.ts';

/** @throws {RuleRefusal} that names the rule, and any error if the push cannot be checked. */
type Check<V> = (rule: V, push: PushChanges) => Promise<void> | void;

export const PUSH_RULE_CHECKS: { readonly [N in keyof PushRules]-?: Check<PushRules[N]> } = {
  references: checkReferences,
  protected: checkProtected,
  paths: checkPaths,
  largestFile: checkLargestFile,
  signature: checkSignature,
  message: checkMessage,
  readOnly: checkReadOnly,
};

/**
 * Checks a push by the rules of the token with which it came, and those that the repository has
 * now: all that limit something.
 *
 * @param changes lines `<old> <new> <reference>\n`.
 * @throws {RuleRefusal} that names the rule; {GitalyError} and {GitExitError} when the push cannot
 *   be checked: it is refused, too.
 */
export async function checkPushRules(call: HookCall, changes: Buffer): Promise<void> {
  if (call.pushRules !== undefined) await check(call.pushRules, pushChanges(call, changes, 'token'));
  const ofRepository = await rulesOfRepository(call.repository);
  if (ofRepository !== undefined) await check(ofRepository, pushChanges(call, changes, 'repository'));
}

async function check(rules: PushRules, push: PushChanges): Promise<void> {
  // The names are those of the rules.
  for (const name of Object.keys(formatPushRules(rules)) as (keyof PushRules)[]) {
    // The table has the check of a kind under its name.
    const kind = PUSH_RULE_CHECKS[name] as Check<PushRules[typeof name]> | undefined;
    if (kind === undefined)
      throw new RuleRefusal(`the server has no check for the rule ${name} of the ${push.owner}`);
    await kind(rules[name], push);
  }
}

/** Refuses changes of references that are read-only. */
async function checkReadOnly(rules: readonly ReadOnlyRule[] = [], push: PushChanges): Promise<void> {
  const checkOne = ({ reference, shown }: MovedReference): void => {
    const found = applying(rules, { reference, user: push.user })[0];
    if (found === undefined) return;
    const { number, rule } = found;
    const reason = rule.reason === '' ? '' : `: ${rule.reason}`;
    throw refusal(shown, `rule ${number} of "readOnly" of the ${push.owner} allows no change${reason}`);
  };
  await checkEach(push, async (change) => (await ruledReferences(push, change)).forEach(checkOne));
}
