import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { didYouMean, type NamesOf } from '#base/check-names';
import { nearestName } from '#base/nearest-name';
import type { CallOptions } from './call-types.ts';

// TypeScript refuses most misspelt names. In JavaScript they would change nothing, silently.

/** The names of the options of each call. */
export const CALL_NAMES: NamesOf<CallOptions> = {
  signal: true,
  timeoutMs: true,
  deadline: true,
  metadata: true,
  featureFlags: true,
  correlationId: true,
  onHeaders: true,
  onTrailers: true,
};

/** Names that an object in a request may have. */
interface Names {
  /** The fields outside of a `oneof`, by name. */
  readonly fields: ReadonlyMap<string, DescField>;
  /** The fields of each `oneof`, by name. */
  readonly choices: ReadonlyMap<string, ReadonlyMap<string, DescField>>;
  /** The name of the `oneof` to which a field belongs. */
  readonly choiceOf: ReadonlyMap<string, string>;
}

/** One entry for each type of message. */
const namesOf = new WeakMap<DescMessage, Names>();

/**
 * Refuses misspelt options of a call: names that are similar to an option that is not given. Other
 * names are ignored, because callers pass their own options on, and TypeScript accepts that.
 *
 * @throws {TypeError} with the name of the option
 */
export function checkOptions(method: string, options: object): void {
  for (const name in options) {
    if (Object.hasOwn(CALL_NAMES, name)) continue;
    const nearest = nearestMissing(name, Object.keys(CALL_NAMES), options);
    if (nearest !== undefined)
      throw new TypeError(`${method} has no option "${name}"; did you mean "${nearest}"?`);
  }
}

/**
 * Refuses misspelt fields in a request, which is a plain object: names that are similar to a field
 * that is not given. Other additional properties are ignored, because TypeScript accepts them, and
 * so are those of messages and of objects of classes.
 *
 * @throws {TypeError} with the name of the field
 */
export function checkFields(method: string, message: DescMessage, request: unknown): void {
  check({ method, path: '' }, message, request);
}

interface Place {
  readonly method: string;
  /** Names of the enclosing fields, each with a dot. */
  readonly path: string;
}

function check(place: Place, message: DescMessage, given: unknown): void {
  if (!isPlain(given)) return;
  const names = namesIn(message);
  for (const name of Object.keys(given)) {
    const value = given[name];
    const field = names.fields.get(name);
    if (field !== undefined) checkValue(place, field, value);
    else if (names.choices.has(name)) checkChoice(place, name, names.choices.get(name), value);
    else refuse(place, name, names, given);
  }
}

function checkValue({ method, path }: Place, field: DescField, value: unknown): void {
  if (field.message === undefined || typeof value !== 'object' || value === null) return;
  const { message } = field;
  const place = { method, path: `${path}${field.localName}.` };
  if (field.fieldKind === 'message') check(place, message, value);
  else if (field.fieldKind === 'map') for (const each of Object.values(value)) check(place, message, each);
  else if (Array.isArray(value)) for (const each of value) check(place, message, each);
}

function checkChoice(
  { method, path }: Place,
  name: string,
  fields: ReadonlyMap<string, DescField> = new Map(),
  value: unknown,
): void {
  if (!isPlain(value) || typeof value.case !== 'string') return;
  const field = fields.get(value.case);
  if (field === undefined)
    throw new TypeError(
      `${method} has no case "${value.case}" in "${path}${name}"` +
        (didYouMean(value.case, fields.keys()) || `; known: ${[...fields.keys()].join(', ')}`),
    );
  checkValue({ method, path: `${path}${name}.` }, field, value.value);
}

/** @throws {TypeError} if the name is that of a field, misspelt or in the wrong place. */
function refuse(
  { method, path }: Place,
  name: string,
  { fields, choices, choiceOf }: Names,
  given: object,
): void {
  const choice = choiceOf.get(name);
  if (choice !== undefined)
    throw new TypeError(
      `${method} has "${path}${name}" only as "${path}${choice}": { case: "${name}", value: … }`,
    );
  const nearest = nearestMissing(name, [...fields.keys(), ...choices.keys()], given);
  if (nearest === undefined) return;
  throw new TypeError(`${method} has no field "${path}${name}"; did you mean "${path}${nearest}"?`);
}

/** Returns the most similar name, of those that `given` does not have. */
function nearestMissing(name: string, names: readonly string[], given: object): string | undefined {
  return nearestName(
    name,
    names.filter((each) => !Object.hasOwn(given, each)),
  );
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !('$typeName' in value);
}

function namesIn(message: DescMessage): Names {
  const existing = namesOf.get(message);
  if (existing !== undefined) return existing;
  const fields = message.fields.filter(({ oneof }) => oneof === undefined);
  const names: Names = {
    fields: new Map(fields.map((field) => [field.localName, field])),
    choices: new Map(
      message.oneofs.map((oneof) => [
        oneof.localName,
        new Map(oneof.fields.map((field) => [field.localName, field])),
      ]),
    ),
    choiceOf: new Map(
      message.oneofs.flatMap((oneof) => oneof.fields.map((field) => [field.localName, oneof.localName])),
    ),
  };
  namesOf.set(message, names);
  return names;
}
