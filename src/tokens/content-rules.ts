import { messageOf } from '#base/gitaly-error';
import type { LinearRegexp } from '#base/go/regexp/linear-regexp';
import { lazyModule } from '#base/lazy-module';
import { BoundedMap } from '#base/memory/bounded-map';
import { RuleError } from './push-rule.ts';
import { type ExceptRestriction, namesOf, restrictions, textsOf } from './restriction.ts';

/** Files and directories that new commits must not change. */
export interface PathRule extends ExceptRestriction {
  readonly paths: readonly string[];
}

/** The largest file that new commits may bring. */
export interface SizeRule extends ExceptRestriction {
  readonly bytes: number;
}

/** The messages of new commits match an expression. */
export interface MessageRule extends ExceptRestriction {
  readonly pattern: string;
}

/** References that nobody changes. */
export interface ReadOnlyRule extends ExceptRestriction {
  /** For the user. */
  readonly reason: string;
}

const MAX_EXPRESSION_CHARACTERS = 500;
const MAX_EXPRESSIONS = 200;

/** Few servers have a rule for messages. */
const loadRegexp = lazyModule(() => import('#base/go/regexp/linear-regexp'));
const compiled = new BoundedMap<string, LinearRegexp>({ maxEntries: MAX_EXPRESSIONS });

/** `[{ "paths": ["deploy/"], "except": ["alice"] }]` */
export const PATHS = restrictions<PathRule>('paths', ['paths', 'except'], (fields) => {
  const paths = textsOf(fields, 'paths') ?? [];
  if (paths.length === 0) throw new RuleError('"paths" names no file');
  if (paths.some((path) => /^\/|(?:^|\/)\.{0,2}\//.test(path)))
    throw new RuleError('"paths" must be relative to the top, such as "docs/" or "src/main.c"');
  return { paths, except: namesOf(fields, 'except', []) };
});

/** `[{ "bytes": 10000000 }]` */
export const LARGEST_FILE = restrictions<SizeRule>('largestFile', ['bytes', 'except'], (fields) => {
  const bytes = fields.number('bytes');
  if (bytes === undefined || !Number.isSafeInteger(bytes) || bytes < 0)
    throw new RuleError('"bytes" must be a whole number');
  return { bytes, except: namesOf(fields, 'except', []) };
});

/** `[{ "on": "refs/heads/main" }]` */
export const SIGNATURE = restrictions<ExceptRestriction>('signature', ['except'], (fields) => ({
  except: namesOf(fields, 'except', []),
}));

const PARSED_MESSAGE = restrictions<MessageRule>('message', ['pattern', 'except'], (fields) => {
  const pattern = fields.text('pattern') ?? '';
  if (pattern === '' || pattern.length > MAX_EXPRESSION_CHARACTERS)
    throw new RuleError(`"pattern" must be an expression of 1 to ${MAX_EXPRESSION_CHARACTERS} characters`);
  return { pattern, except: namesOf(fields, 'except', []) };
});

/** `[{ "pattern": "^[A-Z]+-[0-9]+: " }]` */
export const MESSAGE: typeof PARSED_MESSAGE = {
  ...PARSED_MESSAGE,
  async prepare(rules = []) {
    for (const { pattern } of rules) await messageExpression(pattern);
  },
};

/** `[{ "reason": "it is a mirror" }]` */
export const READ_ONLY_CONTENT = restrictions<ReadOnlyRule>('readOnly', ['reason', 'except'], (fields) => ({
  reason: fields.text('reason') ?? '',
  except: namesOf(fields, 'except', []),
}));

/** Returns the expression of a message rule, whose time is linear in the text. @throws {RuleError} */
export async function messageExpression(pattern: string): Promise<LinearRegexp> {
  const { linearRegexp } = await loadRegexp();
  let expression = compiled.get(pattern);
  if (expression !== undefined) return expression;
  try {
    expression = linearRegexp(pattern);
  } catch (error) {
    throw new RuleError(`"message": ${messageOf(error)}`, { cause: error });
  }
  compiled.set(pattern, expression);
  return expression;
}
