import { type DescMessage, fromJson, type JsonValue, type Message } from '@bufbuild/protobuf';
import { messageOf } from '#base/gitaly-error';
import { nearestName } from '#base/nearest-name';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import { gitalyServices } from '#wire/methods';
import { registry } from '#wire/registry';

/** Prefix of a text for a field of bytes, which is otherwise base64 as in every protobuf JSON. */
const TEXT = 'text:';

/**
 * Returns the method of a name: `FindCommit`, `CommitService/FindCommit` or the full path.
 *
 * @throws {Error} that names a similar one.
 */
export function methodNamed(name: string): MethodInfo {
  const wanted = name.replace(/^\/?(gitaly\.)?/, '');
  const methods = gitalyServices.flatMap((service) => service.methods.map(methodInfo));
  const shortPath = ({ path }: MethodInfo): string => path.slice('/gitaly.'.length);
  const found = methods.filter((method) => shortPath(method) === wanted || method.name === wanted);
  const [method] = found;
  if (method !== undefined && found.length === 1) return method;
  if (found.length > 1)
    throw new Error(`${name} is a method of several services: ${found.map(shortPath).join(', ')}`);
  const names = methods.flatMap((each) => [each.name, shortPath(each)]);
  const nearest = nearestName(wanted, names);
  throw new Error(`there is no method ${name}${nearest === undefined ? '' : `, did you mean ${nearest}?`}`);
}

/**
 * Reads the request messages of a call: a JSON object, or an array of them for a method that takes
 * a stream. In fields of bytes, `text:main` represents base64 of `main`.
 *
 * @throws {Error} that describes the JSON's mistake.
 */
export function requestsOf({ input, kind, name }: MethodInfo, json: string): Message[] {
  let value: JsonValue;
  try {
    value = JSON.parse(json) as JsonValue; // JSON.parse returns nothing else
  } catch (error) {
    throw new Error(`the request is not JSON: ${messageOf(error)}`);
  }
  const isStream = kind === 'client_stream' || kind === 'bidi_stream';
  if (Array.isArray(value) && !isStream) throw new Error(`${name} takes one request, not a list`);
  const values = Array.isArray(value) ? value : [value];
  return values.map((each) => {
    try {
      return fromJson(input, withTexts(input, each), { registry });
    } catch (error) {
      throw new Error(`the request is not a ${input.name}: ${messageOf(error)}`);
    }
  });
}

/** Replaces the texts of fields of bytes by base64. */
function withTexts(message: DescMessage, value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([key, inner]) => {
    const field = message.fields.find(({ jsonName, name }) => key === jsonName || key === name);
    const convert = (one: JsonValue): JsonValue => {
      if (field?.message !== undefined && field.fieldKind !== 'map') return withTexts(field.message, one);
      const isBytes = field !== undefined && field.scalar === BYTES;
      return isBytes && typeof one === 'string' && one.startsWith(TEXT)
        ? Buffer.from(one.slice(TEXT.length)).toString('base64')
        : one;
    };
    return [key, Array.isArray(inner) ? inner.map(convert) : convert(inner)];
  });
  return Object.fromEntries(entries);
}

/** Number of protobuf's type `bytes`. */
const BYTES = 12;
