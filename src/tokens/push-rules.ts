import { JsonFields } from '#base/json-fields';
import { type PushRule, RuleError } from './push-rule.ts';
import { REFERENCE_RULES, type ReferenceRule } from './reference-rules.ts';

/** The rules of a token for its pushes. */
export interface PushRules {
  /** The first that matches applies; without a match the change is refused. Empty: all is allowed. */
  readonly references: readonly ReferenceRule[];
}

type PushRuleName = keyof PushRules;

/**
 * All kinds of rules, by their name in a scope. Each has a check in
 * `domain/hooks/push-rules/check-push-rules.ts`; without one a push is refused.
 */
export const PUSH_RULES: { readonly [N in PushRuleName]-?: PushRule<PushRules[N]> } = {
  references: REFERENCE_RULES,
};

/** Returns the kinds of rules with their names. */
export function pushRuleKinds(): readonly [name: PushRuleName, kind: PushRule<unknown>][] {
  // The names are the keys of the table. A kind gets only values of its own name.
  return Object.entries(PUSH_RULES) as [PushRuleName, PushRule<unknown>][];
}

/** Parses the rules among the fields of a scope. Other fields are ignored. @throws {RuleError} */
export function parsePushRules(fields: JsonFields): PushRules {
  const parsed = pushRuleKinds().map(([name, kind]) => [name, kind.parse(fields.value(name))]);
  return Object.fromEntries(parsed) as PushRules; // each kind has parsed its own value
}

/** Returns the JSON form of the rules that limit something: what travels, and what is checked. */
export function formatPushRules(rules: PushRules): Partial<Record<PushRuleName, unknown>> {
  const formatted = pushRuleKinds().map(([name, kind]) => [
    name,
    // A scope that a program made for an older version lacks the rules of this one.
    rules[name] === undefined ? undefined : kind.format(rules[name]),
  ]);
  return Object.fromEntries(formatted.filter(([, value]) => value !== undefined));
}

/** Reports whether rules allow every push; so does a user without a token. */
export function isUnrestricted(rules: PushRules | undefined): boolean {
  return rules === undefined || Object.keys(formatPushRules(rules)).length === 0;
}

/**
 * Returns the rules as metadata of a push; `undefined` if they limit nothing. Rules of references
 * alone are a list, which servers of 0.2 understand. Those refuse the other form.
 */
export function encodePushRules(rules: PushRules | undefined): Buffer | undefined {
  if (rules === undefined || isUnrestricted(rules)) return undefined;
  const { references, ...others } = formatPushRules(rules);
  const isList = Object.keys(others).length === 0;
  return Buffer.from(JSON.stringify(isList ? references : { references, ...others }));
}

/** Parses the metadata of a push. @throws {RuleError} {SyntaxError} the push is refused. */
export function decodePushRules(bytes: Buffer): PushRules {
  const json: unknown = JSON.parse(bytes.toString());
  const fields = JsonFields.of(Array.isArray(json) ? { references: json } : json);
  if (fields === undefined) throw new RuleError('the rules must be a list or an object');
  refuseUnknown(fields, Object.keys(PUSH_RULES));
  const rules = parsePushRules(fields);
  if (isUnrestricted(rules)) throw new RuleError('there are no rules');
  return rules;
}

/** A misspelt restriction must not be a missing one. @throws {RuleError} */
export function refuseUnknown(fields: JsonFields, known: readonly string[]): void {
  const unknown = fields.entries().find(([name]) => !known.includes(name));
  if (unknown !== undefined) throw new RuleError(`unknown field ${JSON.stringify(unknown[0])}`);
}
