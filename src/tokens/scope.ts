import { JsonFields } from '#base/json-fields';
import { fitsPattern, MAX_PATTERN_CHARACTERS } from './pattern.ts';
import {
  formatReferenceRules,
  parseReferenceRules,
  type ReferenceRule,
  RuleError,
} from './reference-rules.ts';

/** Rights, each with those before it. */
export const ACCESS = ['read', 'write', 'admin'] as const;
export type Access = (typeof ACCESS)[number];

/** The rights of a token. */
export interface TokenScope {
  readonly access: Access;
  /** Patterns of paths in the storage, with or without `.git`. */
  readonly repositories: readonly string[];
  /** The first that matches applies; without a match the change is refused. Empty: all is allowed. */
  readonly references: readonly ReferenceRule[];
}

const MAX_REPOSITORIES = 50;
const KNOWN: ReadonlySet<string> = new Set(['access', 'repositories', 'references']);

/** Parses the scope in the claims of a token. @throws {RuleError} */
export function parseScope(value: unknown): TokenScope {
  const fields = JsonFields.of(value);
  if (fields === undefined) throw new RuleError('the scope must be an object');
  const unknown = Object.keys(Object(value)).find((name) => !KNOWN.has(name));
  if (unknown !== undefined) throw new RuleError(`unknown field ${JSON.stringify(unknown)}`);
  const access = ACCESS.find((known) => known === fields.text('access'));
  if (access === undefined) throw new RuleError(`"access" must be one of ${ACCESS.join(', ')}`);
  const repositories = fields.list('repositories') ?? [];
  if (repositories.length === 0 || repositories.length > MAX_REPOSITORIES || !repositories.every(isPattern))
    throw new RuleError(`"repositories" must be a list of 1 to ${MAX_REPOSITORIES} patterns`);
  const references = fields.has('references') ? parseReferenceRules(fields.value('references')) : [];
  return { access, repositories, references };
}

function isPattern(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_PATTERN_CHARACTERS;
}

/** Returns the JSON form of a scope, as {@link parseScope} reads it. */
export function formatScope({ access, references, repositories }: TokenScope): object {
  return {
    access,
    repositories,
    ...(references.length > 0 && { references: formatReferenceRules(references) }),
  };
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
