import type { parseDurationMs } from '#base/go/duration';
import type { Secret } from '#base/secret';

/** Kind of a key's value. It determines how the value is read, checked, documented and typed. */
export type KeyKind =
  | 'text'
  | 'secret'
  | 'integer'
  | 'integer-or-auto'
  | 'float'
  | 'flag'
  | 'duration'
  | 'tls-version'
  | 'texts'
  | 'floats';

/**
 * Integer types of Gitaly's decoder. The unsigned ones refuse a negative number while decoding.
 */
export type IntegerType = 'int' | 'int64' | 'uint' | 'uint64';

export interface KeyFacts {
  /** One or two sentences for the reference page, `config.toml.example` and error messages. */
  doc: string;
  /** TOML value in `config.toml.example`; the line is a comment unless `shown` is set. */
  example?: string;
  /** True if the example line is active, not a comment. */
  shown?: boolean;
  /** Accepted values in words, if the kind does not determine them. */
  accepted?: string;
  /**
   * The reason why this server checks the key but ignores it, for operators who copy a
   * configuration from Gitaly.
   */
  noEffect?: string;
}

/**
 * One key. `V` is its type in the typed configuration; the default applies if the file does not set
 * it.
 */
export interface Key<K extends KeyKind = KeyKind, V = unknown> extends KeyFacts {
  readonly kind: K;
  readonly default: V;
  readonly integerType?: IntegerType;
  /** True for a list that may also be one value. */
  readonly acceptsOne?: boolean;
}

export interface ConfigTable<F extends Fields = Fields> {
  readonly kind: 'table';
  readonly doc: string;
  readonly fields: F;
  readonly noEffect?: string;
}

/** An array of TOML tables. */
export interface ConfigTables<F extends Fields = Fields> {
  readonly kind: 'tables';
  readonly doc: string;
  readonly fields: F;
  readonly noEffect?: string;
}

export type Node = Key | ConfigTable | ConfigTables;
export interface Fields {
  readonly [name: string]: Node;
}

/** `http-settings` → `httpSettings`, `listen_addr` → `listenAddr`. */
type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S extends `${infer Head}-${infer Tail}`
    ? `${Head}${Capitalize<Camel<Tail>>}`
    : S;

type NameOf<K extends string, N> = N extends Key<'duration', unknown> ? `${Camel<K>}Ms` : Camel<K>;

type ValueOf<N> =
  N extends Key<KeyKind, infer V>
    ? V
    : N extends ConfigTable<infer F>
      ? ConfigOf<F>
      : N extends ConfigTables<infer F>
        ? readonly ConfigOf<F>[]
        : never;

/**
 * The typed configuration of a schema. Names are in camel case; durations are milliseconds with the
 * suffix `Ms`; a missing text is `undefined` unless it has a default; tables are always present.
 */
export type ConfigOf<F extends Fields> = {
  readonly [K in keyof F & string as NameOf<K, F[K]>]: ValueOf<F[K]>;
};

/** Returns the name of a key in the typed configuration, as `NameOf` does for types. */
export function configName(name: string, node: Node): string {
  const camel = name.replace(/[-_]([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return node.kind === 'duration' ? `${camel}Ms` : camel;
}

export function text(facts: KeyFacts & { default: string }): Key<'text', string>;
export function text(facts: KeyFacts): Key<'text', string | undefined>;
export function text(facts: KeyFacts & { default?: string }): Key<'text', string | undefined> {
  return { kind: 'text', ...facts, default: facts.default };
}

/** A text that must not be printed. */
export function secret(facts: KeyFacts): Key<'secret', Secret | undefined> {
  return { kind: 'secret', ...facts, default: undefined };
}

export function integer(facts: KeyFacts & { default: number; type?: IntegerType }): Key<'integer', number> {
  const { type, ...rest } = facts;
  return { kind: 'integer', integerType: type ?? 'int', ...rest };
}

/** A whole number, or a text by which the server chooses one itself. */
export function integerOrAuto(
  facts: KeyFacts & { default: number | 'auto' },
): Key<'integer-or-auto', number | 'auto'> {
  return { kind: 'integer-or-auto', ...facts };
}

export function float(facts: KeyFacts & { default: number }): Key<'float', number> {
  return { kind: 'float', ...facts };
}

export function flag(facts: KeyFacts & { default?: boolean }): Key<'flag', boolean> {
  return { kind: 'flag', ...facts, default: facts.default ?? false };
}

/**
 * Declares a duration. @param facts.defaultMs milliseconds; in the file it is a Go duration, see
 * {@link parseDurationMs}.
 */
export function duration(facts: KeyFacts & { defaultMs: number }): Key<'duration', number> {
  const { defaultMs, ...rest } = facts;
  return { kind: 'duration', ...rest, default: defaultMs };
}

export type TlsVersion = 'TLS 1.2' | 'TLS 1.3';

export function tlsVersion(facts: KeyFacts & { default: TlsVersion }): Key<'tls-version', TlsVersion> {
  return { kind: 'tls-version', ...facts };
}

export function texts(facts: KeyFacts & { readonly acceptsOne?: boolean }): Key<'texts', readonly string[]> {
  return { kind: 'texts', ...facts, default: [] };
}

export function floats(facts: KeyFacts & { default: readonly number[] }): Key<'floats', readonly number[]> {
  return { kind: 'floats', ...facts };
}

export function table<F extends Fields>(
  doc: string,
  fields: F,
  facts: { noEffect?: string } = {},
): ConfigTable<F> {
  return { kind: 'table', doc, fields, ...facts };
}

export function tables<F extends Fields>(
  doc: string,
  fields: F,
  facts: { noEffect?: string } = {},
): ConfigTables<F> {
  return { kind: 'tables', doc, fields, ...facts };
}

/** Describes the accepted values of a key, for error messages. */
export function accepted(node: Node, name: string): string {
  switch (node.kind) {
    case 'table':
      return `a table, headed by [${name}]`;
    case 'tables':
      return (
        `one or more tables, each headed by [[${name.replaceAll(/\[\d+\]/g, '')}]], ` +
        `with ${Object.keys(node.fields).join(', ')}`
      );
    default:
      return node.accepted ?? KINDS[node.kind](node);
  }
}

const KINDS: Readonly<Record<KeyKind, (key: Key) => string>> = {
  text: () => 'a text in quotes',
  secret: () => 'a text in quotes',
  integer: (key) => (key.integerType?.startsWith('u') ? 'a whole number, 0 or greater' : 'a whole number'),
  'integer-or-auto': () => '"auto" or a whole number',
  float: () => 'a number',
  flag: () => 'true or false',
  duration: () => 'a duration in quotes, such as "90s", "1m30s" or "300ms" (units ns, us, ms, s, m, h)',
  'tls-version': () => '"TLS 1.2" or "TLS 1.3"',
  texts: () => 'a list of texts in quotes',
  floats: () => 'a list of numbers',
};
