import type { ReadOnlyRule } from '#tokens/content-rules';
import { applying } from '#tokens/restriction';
import { movedReference, refusal } from './moved-reference.ts';
import type { PushChanges } from './push-changes.ts';

/** Refuses changes of references that are read-only. */
export async function checkReadOnly(rules: readonly ReadOnlyRule[] = [], push: PushChanges): Promise<void> {
  for (const change of push.changes) {
    const { reference, shown } = await movedReference(push, change);
    const found = applying(rules, { reference, user: push.user })[0];
    if (found === undefined) continue;
    const { number, rule } = found;
    const reason = rule.reason === '' ? '' : `: ${rule.reason}`;
    throw refusal(shown, `rule ${number} of "readOnly" of the ${push.owner} allows no change${reason}`);
  }
}
