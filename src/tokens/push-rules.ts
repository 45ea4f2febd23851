import { JsonFields } from '#base/json-fields';
import {
  LARGEST_FILE,
  MESSAGE,
  type MessageRule,
  PATHS,
  type PathRule,
  READ_ONLY_CONTENT,
  type ReadOnlyRule,
  SIGNATURE,
  type SizeRule,
} from './content-rules.ts';
import { PROTECTED, type ProtectedReference } from './protected-references.ts';
import { type PushRule, RuleError } from './push-rule.ts';
import { REFERENCE_RULE_KIND, type ReferenceRule } from './reference-rules.ts';
import { type ExceptRestriction, refuseUnknown } from './restriction.ts';

/** The rules of a token for its pushes, or of a repository for all pushes to it. */
export interface PushRules {
  /** The first that matches applies; without a match the change is refused. Empty: all is allowed. */
  readonly references: readonly ReferenceRule[];
  readonly protected?: readonly ProtectedReference[] | undefined;
  readonly paths?: readonly PathRule[] | undefined;
  readonly largestFile?: readonly SizeRule[] | undefined;
  readonly signature?: readonly ExceptRestriction[] | undefined;
  readonly message?: readonly MessageRule[] | undefined;
  readonly readOnly?: readonly ReadOnlyRule[] | undefined;
}

type PushRuleName = keyof PushRules;

/**
 * All kinds of rules, by their name in a scope or document. Each has a check in
 * `domain/hooks/push-rules/check-push-rules.ts`; without one a push is refused.
 */
export const PUSH_RULES: { readonly [N in PushRuleName]-?: PushRule<PushRules[N]> } = {
  references: REFERENCE_RULE_KIND,
  protected: PROTECTED,
  paths: PATHS,
  largestFile: LARGEST_FILE,
  signature: SIGNATURE,
  message: MESSAGE,
  readOnly: READ_ONLY_CONTENT,
};

export function pushRuleKinds(): readonly [name: PushRuleName, kind: PushRule<unknown>][] {
  // The names are the keys of the table. A kind gets only values of its own name.
  return Object.entries(PUSH_RULES) as [PushRuleName, PushRule<unknown>][];
}

/** Parses the rules among the fields of a scope. Other fields are ignored. @throws {RuleError} */
export function parsePushRules(fields: JsonFields): PushRules {
  const parsed = pushRuleKinds().map(([name, kind]) => [name, kind.parse(fields.value(name))]);
  // Each kind has parsed its own value.
  return Object.fromEntries(parsed.filter(([, value]) => value !== undefined)) as PushRules;
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

/** Longest document with the rules of a repository. */
const MAX_DOCUMENT_BYTES = 1 << 20;

/**
 * Parses the document with the rules of a repository: an object that has a field for each kind.
 *
 * @throws {RuleError}
 */
export async function parseRulesDocument(bytes: Uint8Array): Promise<PushRules> {
  if (bytes.length > MAX_DOCUMENT_BYTES) throw new RuleError(`more than ${MAX_DOCUMENT_BYTES} bytes`);
  const fields = JsonFields.parse(decoded(bytes));
  if (fields === undefined) throw new RuleError('it is not a JSON object');
  refuseUnknown(fields, Object.keys(PUSH_RULES));
  const rules = parsePushRules(fields);
  // Each kind prepares its own value.
  for (const [name, kind] of pushRuleKinds()) await kind.prepare?.(rules[name]);
  return rules;
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new RuleError('it is not UTF-8', { cause: error });
  }
}
