import { GitalyError } from '#base/gitaly-error';
import { describeJsonError } from '#base/json-error';

/** How a user wants the conflicts of a file to end. */
export interface Resolution {
  /** Path on our side. */
  readonly oldPath: string;
  /** Path in the merge. */
  readonly newPath: string;
  /** Side (`head` for ours, `origin` for theirs) by the id of a conflict. When it is empty, `content` is the whole file. */
  readonly sections: ReadonlyMap<string, string>;
  readonly content: string;
}

/**
 * Reads the resolutions of a request, a JSON list of `{old_path, new_path, sections: {id: side}, content}`, as Go's decoder does: it
 * takes keys in any case, and `null` for nothing.
 *
 * @throws {GitalyError} INTERNAL with Go's words for bad JSON; INVALID_ARGUMENT `missing sections or content for a resolution`.
 */
export function parseResolutions(json: Buffer): Resolution[] {
  const problem = describeJsonError(json.toString('latin1'), 'document');
  if (problem !== undefined) throw new GitalyError('INTERNAL', problem);
  const list: unknown = JSON.parse(json.toString('utf8'));
  if (list === null) return [];
  if (!Array.isArray(list)) throw mismatch(list, 'value of type []map[string]interface {}');
  const objects = list.map((item: unknown) => {
    if (item === null) return {};
    if (typeof item !== 'object' || Array.isArray(item)) throw mismatch(item, 'value of type map[string]interface {}');
    return item;
  });
  if (objects.some((object) => !('sections' in object) && !('content' in object))) {
    throw new GitalyError('INVALID_ARGUMENT', 'missing sections or content for a resolution');
  }
  return objects.map(parseResolution);
}

function parseResolution(object: object): Resolution {
  const texts = { old_path: '', new_path: '', content: '' };
  let sections: ReadonlyMap<string, string> = new Map();
  for (const [name, value] of Object.entries(object)) {
    const key = name.toLowerCase();
    if (value === null) continue;
    if (key === 'sections') sections = parseSections(value);
    else if (key === 'old_path' || key === 'new_path' || key === 'content') texts[key] = textOf(value, key);
  }
  return { oldPath: texts.old_path, newPath: texts.new_path, content: texts.content, sections };
}

function parseSections(value: unknown): ReadonlyMap<string, string> {
  const field = 'struct field Resolution.sections of type';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw mismatch(value, `${field} map[string]string`);
  return new Map(
    Object.entries(value).map(([id, side]: [string, unknown]) => {
      if (side !== null && typeof side !== 'string') throw mismatch(side, `${field} string`);
      return [id, side ?? ''];
    }),
  );
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string') throw mismatch(value, `struct field Resolution.${name} of type string`);
  return value;
}

function mismatch(value: unknown, target: string): GitalyError {
  const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  return new GitalyError('INTERNAL', `json: cannot unmarshal ${kind} into Go ${target}`);
}
