/** Reports whether a value has the shape of a type. */
export type Shape<T> = (value: unknown) => value is T;

/** The type of the values of a shape. */
export type Shaped<S> = S extends Shape<infer T> ? T : never;

interface OptionalField<T> {
  readonly ifPresent: Shape<T>;
}

type Fields = Readonly<Record<string, Shape<unknown> | OptionalField<unknown>>>;
type OptionalNames<F extends Fields> = {
  [K in keyof F]: F[K] extends OptionalField<unknown> ? K : never;
}[keyof F];
type Fielded<F extends Fields> = {
  readonly [K in Exclude<keyof F, OptionalNames<F>>]: Shaped<F[K]>;
} & {
  readonly [K in OptionalNames<F>]?: F[K] extends OptionalField<infer T> ? T : never;
};
/** One object type instead of two that are combined: it is what people read in errors. */
type Plain<T> = { [K in keyof T]: T[K] };
type Tagged<S> = { [K in keyof S]: Plain<{ readonly kind: K } & Shaped<S[K]>> }[keyof S];

export const text: Shape<string> = (value) => typeof value === 'string';
export const integer: Shape<number> = (value): value is number => Number.isSafeInteger(value);
export const number: Shape<number> = (value) => typeof value === 'number';
export const flag: Shape<boolean> = (value) => typeof value === 'boolean';
export const bytes: Shape<Uint8Array> = (value) => value instanceof Uint8Array;
export const anything: Shape<unknown> = (_value): _value is unknown => true;
export const nothing: Shape<void> = (value) => value === undefined;

/** Returns the value of a JSON text; `undefined` if it is not JSON, or of another shape. */
export function parseAs<T>(shape: Shape<T>, json: string): T | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return shape(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A value of a shape that also satisfies a condition. */
export function where<T>(shape: Shape<T>, condition: (value: T) => boolean): Shape<T> {
  return (value): value is T => shape(value) && condition(value);
}

/** One of some values. */
export function oneOf<const T extends string | number | null>(...values: readonly T[]): Shape<T> {
  const all = new Set<unknown>(values);
  return (value): value is T => all.has(value);
}

/** A value of one of two shapes. */
export function either<A, B>(one: Shape<A>, other: Shape<B>): Shape<A | B> {
  return (value): value is A | B => one(value) || other(value);
}

/** A value of a shape, or `undefined`. */
export function maybe<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value): value is T | undefined => value === undefined || shape(value);
}

export function list<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && value.every(shape);
}

/** A list of two values. */
export function pair<A, B>(one: Shape<A>, other: Shape<B>): Shape<readonly [A, B]> {
  return (value): value is readonly [A, B] =>
    Array.isArray(value) && value.length === 2 && one(value[0]) && other(value[1]);
}

/** An object whose fields have any names. */
export function record<T>(shape: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value): value is Readonly<Record<string, T>> =>
    isObject(value) && Object.values(value).every(shape);
}

/** A field of {@link object} that may be absent. */
export function optional<T>(shape: Shape<T>): OptionalField<T> {
  return { ifPresent: shape };
}

/** An object with at least these fields. */
export function object<F extends Fields>(fields: F): Shape<Plain<Fielded<F>>> {
  const checks = Object.entries(fields);
  return (value): value is Plain<Fielded<F>> =>
    isObject(value) &&
    checks.every(([name, field]) =>
      typeof field === 'function'
        ? field(Reflect.get(value, name))
        : !Object.hasOwn(value, name) || field.ifPresent(Reflect.get(value, name)),
    );
}

/** An object of one of some shapes, whose field `kind` has the name of the shape. */
export function tagged<S extends Readonly<Record<string, Shape<object>>>>(shapes: S): Shape<Tagged<S>> {
  const byKind = new Map<unknown, Shape<object>>(Object.entries(shapes));
  return (value): value is Tagged<S> =>
    isObject(value) && byKind.get(Reflect.get(value, 'kind'))?.(value) === true;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
