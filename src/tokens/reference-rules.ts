import { JsonFields } from '#base/json-fields';
import { fitsPattern, MAX_PATTERN_CHARACTERS } from './pattern.ts';
import { type PushRule, RuleError } from './push-rule.ts';

/** A right of a token, or its lack, for the references that fit a pattern. */
export interface ReferenceRule {
  readonly effect: 'allow' | 'deny';
  /** Pattern of full names, such as `refs/heads/feature/**`. */
  readonly pattern: string;
  /**
   * Allows to replace commits; without it a push must be a fast-forward, and nothing is deleted.
   * Default true.
   */
  readonly force: boolean;
  /** Allows to delete. Default true. */
  readonly delete: boolean;
  /** Files and directories that new commits may change; empty for all. */
  readonly paths: readonly string[];
}

const MAX_RULES = 50;
const MAX_PATHS = 50;
const KNOWN: ReadonlySet<string> = new Set(['allow', 'deny', 'force', 'delete', 'paths']);

/**
 * Parses the JSON form of rules: `[{ "allow": "refs/heads/**", "force": false, "delete": false,
 * "paths": ["docs/"] }, { "deny": "refs/**" }]`.
 *
 * @throws {RuleError}
 */
function parseReferenceRules(value: unknown): readonly ReferenceRule[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new RuleError('the rules of references must be a list');
  if (value.length > MAX_RULES) throw new RuleError(`more than ${MAX_RULES} rules of references`);
  return value.map((rule: unknown, index) => {
    try {
      return parseRule(rule);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      throw new RuleError(`rule ${index + 1}: ${error.message}`);
    }
  });
}

function parseRule(value: unknown): ReferenceRule {
  const fields = JsonFields.of(value);
  if (fields === undefined) throw new RuleError('it must be an object');
  const unknown = Object.keys(Object(value)).find((name) => !KNOWN.has(name));
  // A misspelt restriction must not be a missing one.
  if (unknown !== undefined) throw new RuleError(`unknown field ${JSON.stringify(unknown)}`);
  const [allow, deny] = [fields.text('allow'), fields.text('deny')];
  const pattern = allow ?? deny;
  if (pattern === undefined || (allow !== undefined && deny !== undefined))
    throw new RuleError('it needs either "allow" or "deny" with a pattern');
  if (pattern === '' || pattern.length > MAX_PATTERN_CHARACTERS)
    throw new RuleError(`a pattern has 1 to ${MAX_PATTERN_CHARACTERS} characters`);
  return {
    effect: allow === undefined ? 'deny' : 'allow',
    pattern,
    force: flagOf(fields, 'force'),
    delete: flagOf(fields, 'delete'),
    paths: pathsOf(fields),
  };
}

function flagOf(fields: JsonFields, name: string): boolean {
  const flag = fields.flag(name);
  if (flag === undefined && fields.has(name)) throw new RuleError(`"${name}" must be true or false`);
  return flag ?? true;
}

function pathsOf(fields: JsonFields): readonly string[] {
  const paths = fields.list('paths') ?? [];
  const areTexts = paths.every((path): path is string => typeof path === 'string' && path !== '');
  if (!areTexts || (fields.has('paths') && fields.list('paths') === undefined))
    throw new RuleError('"paths" must be a list of texts');
  if (paths.length > MAX_PATHS) throw new RuleError(`more than ${MAX_PATHS} paths`);
  return paths;
}

function formatReferenceRules(rules: readonly ReferenceRule[]): readonly object[] | undefined {
  if (rules.length === 0) return undefined;
  return rules.map(({ effect, pattern, force, delete: deletes, paths }) => ({
    [effect]: pattern,
    ...(!force && { force }),
    ...(!deletes && { delete: deletes }),
    ...(paths.length > 0 && { paths }),
  }));
}

/** Parses `allow|deny PATTERN [no-force] [no-delete] [path=PATH…]`. @throws {RuleError} */
function parseRuleText(text: string): object {
  const [effect = '', pattern, ...words] = text.trim().split(/\s+/);
  if ((effect !== 'allow' && effect !== 'deny') || pattern === undefined)
    throw new RuleError(`--ref ${JSON.stringify(text)}: begin with allow or deny and a pattern`);
  const paths = words.filter((word) => word.startsWith('path=')).map((word) => word.slice('path='.length));
  const unknown = words.find((word) => !/^(?:no-force$|no-delete$|path=.)/.test(word));
  if (unknown !== undefined)
    throw new RuleError(`--ref ${JSON.stringify(text)}: ${unknown} is not no-force, no-delete or path=PATH`);
  const rule = {
    [effect]: pattern,
    ...(words.includes('no-force') && { force: false }),
    ...(words.includes('no-delete') && { delete: false }),
    ...(paths.length > 0 && { paths }),
  };
  parseRule(rule);
  return rule;
}

/** Returns a rule as `gitaly-ts token create --ref` takes it. */
export function textOfRule({ delete: deletes, effect, force, paths, pattern }: ReferenceRule): string {
  const words = [
    ...(force ? [] : ['no-force']),
    ...(deletes ? [] : ['no-delete']),
    ...paths.map((path) => `path=${path}`),
  ];
  return [effect, pattern, ...words].join(' ');
}

/** Which references a token may change, and how. */
export const REFERENCE_RULE_KIND: PushRule<readonly ReferenceRule[]> = {
  parse: parseReferenceRules,
  format: formatReferenceRules,
  describe: ({ length }) => `${length} rules`,
  option: {
    flags: '--ref <rule>',
    description:
      'rule for pushes; the first that matches applies: allow|deny PATTERN [no-force] [no-delete] ' +
      '[path=PATH…]; may be repeated (default: all references)',
    parse: (texts) => texts.map(parseRuleText),
  },
};

/** The first rule that fits a reference, with its number for messages; `undefined` for none. */
export function ruleFor(
  rules: readonly ReferenceRule[],
  reference: string,
): { readonly number: number; readonly rule: ReferenceRule } | undefined {
  const index = rules.findIndex(({ pattern }) => fitsPattern(pattern, reference));
  const rule = rules[index];
  return rule && { number: index + 1, rule };
}

/** Reports whether a path is one of a rule's files, or below one of its directories. */
export function isInPaths({ paths }: ReferenceRule, path: string): boolean {
  return paths.some((allowed) =>
    allowed.endsWith('/') ? path.startsWith(allowed) : path === allowed || path.startsWith(`${allowed}/`),
  );
}
