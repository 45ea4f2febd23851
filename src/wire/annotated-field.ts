import {
  type DescExtension,
  type DescField,
  type DescMessage,
  hasOption,
  type Message,
} from '@bufbuild/protobuf';
import { repository as insideWrapper } from '#wire/gen/lint_pb';
import { type Repository, RepositorySchema } from '#wire/gen/shared_pb';
import { fieldValue, setFieldValue } from './field-value.ts';

/**
 * Reads one value from a message; `undefined` if a message on the path is absent or a oneof has
 * another case.
 */
type Read = (message: Message) => unknown;

/** The path from a message to a field: every element but the last is a singular message field. */
type Path = readonly DescField[];

/**
 * Returns a function that reads the repository in the field marked with `mark`. The mark may be on
 * a field of a nested message (the header of a stream) or on a message that wraps a repository (a
 * pool); both are followed.
 *
 * The search runs once, here; the returned function only follows properties. It returns `undefined`
 * if the request has no such field or the field is not set.
 *
 * @throws {Error} when two fields have the mark, or the marked field does not lead to a repository:
 *   an error in the .proto file.
 */
export function repositoryReader(
  request: DescMessage,
  mark: DescExtension,
): (request: Message) => Repository | undefined {
  const path = findMarked(request, mark);
  if (path === undefined) return () => undefined;
  const read = compile(leadToRepository(path));
  // The last field of the path is of type gitaly.Repository (leadToRepository), so its value is one
  // or absent.
  return (message) => read(message) as Repository | undefined;
}

/**
 * Returns a function that reads the marked string field. It returns `undefined` if the request has
 * no such field, and `''` if the field is not set, as in proto3.
 *
 * @throws {Error} when two fields have the mark or the marked one is not a string.
 */
export function stringReader(
  request: DescMessage,
  mark: DescExtension,
): (request: Message) => string | undefined {
  const path = findMarked(request, mark);
  if (path === undefined) return () => undefined;
  const last = path.at(-1);
  if (last?.fieldKind !== 'scalar')
    throw new Error(`${describe(path)}: option ${mark.name} is for string fields`);
  const read = compile(path);
  return (message) => {
    const value = read(message);
    return typeof value === 'string' ? value : undefined;
  };
}

/**
 * Returns a function that sets the marked string field of a message that has it, for a proxy.
 *
 * @throws as {@link stringReader}.
 */
export function stringWriter(
  request: DescMessage,
  mark: DescExtension,
): (request: Message, value: string) => void {
  const path = findMarked(request, mark);
  const last = path?.at(-1);
  if (path === undefined || last === undefined) return () => {};
  const readOwner = path.length === 1 ? (message: Message) => message : compile(path.slice(0, -1));
  return (message, value) => {
    // Every field but the last is a message (Path).
    const owner = readOwner(message) as Message | undefined;
    if (owner !== undefined) setFieldValue(owner, last, value);
  };
}

/** Searches depth first in field order, through singular message fields of this package. */
function findMarked(root: DescMessage, mark: DescExtension): Path | undefined {
  const found: Path[] = [];
  const visit = (message: DescMessage, before: Path, open: readonly DescMessage[]): void => {
    for (const field of message.fields) {
      const path = [...before, field];
      if (hasOption(field, mark)) found.push(path);
      else if (field.fieldKind === 'message' && !open.includes(field.message))
        visit(field.message, path, [...open, field.message]);
    }
  };
  visit(root, [], [root]);
  if (found.length > 1)
    throw new Error(`${root.typeName}: option ${mark.name} is ambiguous: ${found.map(describe).join(', ')}`);
  return found[0];
}

function leadToRepository(path: Path): Path {
  const last = path.at(-1);
  if (last?.fieldKind === 'message') {
    if (last.message.typeName === RepositorySchema.typeName) return path;
    const inner = last.message.fields.find((field) => hasOption(field, insideWrapper));
    if (inner) return leadToRepository([...path, inner]);
  }
  throw new Error(`${describe(path)} does not lead to a ${RepositorySchema.typeName}`);
}

function compile(path: Path): Read {
  const steps = path.map(
    (field): Read =>
      (message) =>
        fieldValue(message, field),
  );
  const [first = () => undefined, second] = steps;
  if (second === undefined) return first;
  return (message) => {
    let value: unknown = message;
    for (const step of steps) {
      if (value === undefined) return undefined;
      // Every step but the last reads a message field (Path), so the next one receives a message.
      value = step(value as Message);
    }
    return value;
  };
}

function describe(path: Path): string {
  return `${path[0]?.parent.typeName ?? ''}: ${path.map((field) => field.name).join('.')}`;
}
