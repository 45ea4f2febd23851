import { JsonFields } from '#base/json-fields';
import { fitsPattern, MAX_PATTERN_CHARACTERS } from './pattern.ts';
import { type PushRule, RuleError } from './push-rule.ts';

/** A rule that restricts changes of references. */
export interface Restriction {
  /** Pattern of the full names of references. */
  readonly on: string;
}

/** A restriction that does not apply to everybody. */
export interface ExceptRestriction extends Restriction {
  /** Names of the users to whom it does not apply. */
  readonly except: readonly string[];
}

const ALL = 'refs/**';
/** All names, in a list of names. */
export const EVERYBODY = '*';
const MAX_RESTRICTIONS = 2000;
const MAX_TEXTS = 500;
const MAX_TEXT_CHARACTERS = 1000;

/**
 * Returns a kind of rules whose value is a list: all that apply to a change restrict it.
 *
 * @param parse returns the fields of its own, of which `known` has the names. @throws {RuleError}
 */
export function restrictions<R extends Restriction>(
  kind: string,
  known: readonly string[],
  parse: (fields: JsonFields) => Omit<R, 'on'>,
): PushRule<readonly R[] | undefined> {
  const parseOne = (value: unknown): R => {
    const fields = JsonFields.of(value);
    if (fields === undefined) throw new RuleError('it must be an object');
    refuseUnknown(fields, ['on', ...known]);
    // The fields of the kind, and the one that Omit names.
    return { on: patternOf(fields), ...parse(fields) } as R;
  };
  return {
    parse(value) {
      if (value === undefined) return undefined;
      if (!Array.isArray(value)) throw new RuleError(`"${kind}" must be a list`);
      if (value.length > MAX_RESTRICTIONS)
        throw new RuleError(`"${kind}": more than ${MAX_RESTRICTIONS} rules`);
      return value.map((one: unknown, index) => {
        try {
          return parseOne(one);
        } catch (error) {
          if (!(error instanceof RuleError)) throw error;
          throw new RuleError(`"${kind}", rule ${index + 1}: ${error.message}`);
        }
      });
    },
    format: (rules) => (rules === undefined || rules.length === 0 ? undefined : rules),
    describe: (rules) => `${rules?.length ?? 0} of ${kind}`,
  };
}

/** A misspelt restriction must not be a missing one. @throws {RuleError} */
export function refuseUnknown(fields: JsonFields, known: readonly string[]): void {
  const unknown = fields.entries().find(([name]) => !known.includes(name));
  if (unknown !== undefined) throw new RuleError(`unknown field ${JSON.stringify(unknown[0])}`);
}

function patternOf(fields: JsonFields): string {
  if (!fields.has('on')) return ALL;
  const pattern = fields.text('on') ?? '';
  if (pattern === '' || pattern.length > MAX_PATTERN_CHARACTERS)
    throw new RuleError(`"on" must be a pattern of 1 to ${MAX_PATTERN_CHARACTERS} characters`);
  return pattern;
}

/** Returns a list of texts, which may be left out. @throws {RuleError} */
export function textsOf(fields: JsonFields, name: string): readonly string[] | undefined {
  if (!fields.has(name)) return undefined;
  const texts = fields.list(name);
  const isText = (text: unknown): text is string =>
    typeof text === 'string' && text !== '' && text.length <= MAX_TEXT_CHARACTERS;
  if (texts === undefined || texts.length > MAX_TEXTS || !texts.every(isText))
    throw new RuleError(
      `"${name}" must be a list of up to ${MAX_TEXTS} texts of 1 to ${MAX_TEXT_CHARACTERS} characters`,
    );
  return texts;
}

/** Returns the names of users; `*` as a text or in the list means everybody. @throws {RuleError} */
export function namesOf(fields: JsonFields, name: string, otherwise: readonly string[]): readonly string[] {
  return fields.value(name) === EVERYBODY ? [EVERYBODY] : (textsOf(fields, name) ?? otherwise);
}

/** Reports whether names include a user. */
export function isNamed(names: readonly string[], user: string): boolean {
  return names.includes(EVERYBODY) || (user !== '' && names.includes(user));
}

/** Returns the restrictions for a change, with their numbers for messages. */
export function applying<R extends Restriction | ExceptRestriction>(
  rules: readonly R[],
  { reference, user }: { readonly reference: string; readonly user: string },
): { readonly number: number; readonly rule: R }[] {
  return rules.flatMap((rule, index) => {
    const isExempt = 'except' in rule && isNamed(rule.except, user);
    return isExempt || !fitsPattern(rule.on, reference) ? [] : [{ number: index + 1, rule }];
  });
}
