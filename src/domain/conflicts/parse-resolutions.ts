import { GitalyError } from '#base/gitaly-error';
import { jsonKind } from '#base/go/encoding/json';
import { describeJsonError } from '#base/go/encoding/json-error';
import { JsonFields } from '#base/json-fields';

/** A user's resolution of the conflicts of a file. */
export interface Resolution {
  /** Path on our side. */
  readonly oldPath: string;
  /** Path in the merge. */
  readonly newPath: string;
  /**
   * Side (`head` for ours, `origin` for theirs) by the id of a conflict. When it is empty,
   * `content` is the whole file.
   */
  readonly sections: ReadonlyMap<string, string>;
  readonly content: string;
}

/**
 * Reads the resolutions of a request, a JSON list of
 * `{old_path, new_path, sections: {id: side}, content}`, as Go's decoder does: keys in any case,
 * and `null` for an absent value.
 *
 * @throws {GitalyError} INTERNAL with Go's text for invalid JSON; INVALID_ARGUMENT
 *   `missing sections or content for a resolution`.
 */
export function parseResolutions(json: Buffer): Resolution[] {
  const problem = describeJsonError(json.toString('latin1'), 'document');
  if (problem !== undefined) throw new GitalyError('INTERNAL', problem);
  const list: unknown = JSON.parse(json.toString('utf8'));
  if (list === null) return [];
  if (!Array.isArray(list)) throw mismatch(list, 'value of type []map[string]interface {}');
  const objects = list.map((item: unknown) => {
    const fields = item === null ? JsonFields.NONE : JsonFields.of(item);
    if (fields === undefined) throw mismatch(item, 'value of type map[string]interface {}');
    return fields;
  });
  if (objects.some((fields) => !fields.has('sections') && !fields.has('content'))) {
    throw new GitalyError('INVALID_ARGUMENT', 'missing sections or content for a resolution');
  }
  return objects.map(parseResolution);
}

function parseResolution(fields: JsonFields): Resolution {
  const texts = { old_path: '', new_path: '', content: '' };
  let sections: ReadonlyMap<string, string> = new Map();
  for (const [name, value] of fields.entries()) {
    const key = name.toLowerCase();
    if (value === null) continue;
    if (key === 'sections') sections = parseSections(value);
    else if (key === 'old_path' || key === 'new_path' || key === 'content') texts[key] = textOf(value, key);
  }
  return { oldPath: texts.old_path, newPath: texts.new_path, content: texts.content, sections };
}

function parseSections(value: unknown): ReadonlyMap<string, string> {
  const field = 'struct field Resolution.sections of type';
  const fields = JsonFields.of(value);
  if (fields === undefined) throw mismatch(value, `${field} map[string]string`);
  return new Map(
    fields.entries().map(([id, side]) => {
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
  return new GitalyError('INTERNAL', `json: cannot unmarshal ${jsonKind(value)} into Go ${target}`);
}
