import { JsonFields } from '#base/json-fields';
import { fitsAll, fitsPattern, MAX_PATTERN_CHARACTERS } from './pattern.ts';
import { RuleError } from './push-rule.ts';
import {
  formatPushRules,
  isUnrestricted,
  PUSH_RULES,
  type PushRules,
  parsePushRules,
  pushRuleKinds,
} from './push-rules.ts';
import { refuseUnknown } from './restriction.ts';

/** Rights, each with those before it. */
export const ACCESS = ['read', 'write', 'admin'] as const;
export type Access = (typeof ACCESS)[number];

/** The rights of a token. */
export interface TokenScope extends PushRules {
  readonly access: Access;
  /** Patterns of paths in the storage, with or without `.git`. */
  readonly repositories: readonly string[];
}

const MAX_REPOSITORIES = 50;

/** Parses the scope in the claims of a token. @throws {RuleError} */
export function parseScope(value: unknown): TokenScope {
  const fields = JsonFields.of(value);
  if (fields === undefined) throw new RuleError('the scope must be an object');
  refuseUnknown(fields, ['access', 'repositories', ...Object.keys(PUSH_RULES)]);
  const access = ACCESS.find((known) => known === fields.text('access'));
  if (access === undefined) throw new RuleError(`"access" must be one of ${ACCESS.join(', ')}`);
  const repositories = fields.list('repositories') ?? [];
  if (repositories.length === 0 || repositories.length > MAX_REPOSITORIES || !repositories.every(isPattern))
    throw new RuleError(`"repositories" must be a list of 1 to ${MAX_REPOSITORIES} patterns`);
  return { access, repositories, ...parsePushRules(fields) };
}

function isPattern(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_PATTERN_CHARACTERS;
}

/** Returns the JSON form of a scope, as {@link parseScope} reads it. */
export function formatScope(scope: TokenScope): object {
  return { access: scope.access, repositories: scope.repositories, ...formatPushRules(scope) };
}

/** Describes a scope in one line. */
export function describeScope(scope: TokenScope): string {
  const limiting = formatPushRules(scope);
  const rules = pushRuleKinds().filter(([kind]) => kind in limiting);
  const described = rules.map(([kind, { describe }]) => `, ${describe(scope[kind])}`).join('');
  return `${scope.access} ${scope.repositories.join(' ')}${described}`;
}

export function hasAllRights(scope: TokenScope): boolean {
  return scope.access === 'admin' && scope.repositories.some(fitsAll) && isUnrestricted(scope);
}

/** Reports whether a token may change the settings of a repository. @param path as {@link accessTo}. */
export function mayAdminister(scope: TokenScope, path: string): boolean {
  return accessTo(scope, path) === 'admin' && isUnrestricted(scope);
}

/**
 * Returns the access to a repository; `undefined` for none.
 *
 * @param path in the storage, which ends in `.git`.
 */
export function accessTo({ access, repositories }: TokenScope, path: string): Access | undefined {
  const bare = path.endsWith('.git') ? path.slice(0, -'.git'.length) : path;
  const fits = repositories.some((pattern) => fitsPattern(pattern, path) || fitsPattern(pattern, bare));
  return fits ? access : undefined;
}
