import { parse } from 'smol-toml';
import { quote } from '#base/go/quote';
import { JsonFields } from '#base/json-fields';
import { objectKey } from '#object-store/object-key';

/** A full backup of a repository, or the difference to the step before it. Values are keys. */
export interface BackupStep {
  readonly bundlePath: string;
  readonly refPath: string;
  /** References of the step before; absent in the first. */
  readonly previousRefPath?: string;
  readonly customHooksPath: string;
}

/** All that is needed to restore a repository. */
export interface BackupManifest {
  /** True if the repository has no references, so that there is no bundle. */
  readonly empty: boolean;
  /** True if there was no repository. */
  readonly nonExistent: boolean;
  /** `sha1`, `sha256`, or empty without a repository. */
  readonly objectFormat: string;
  /** Target of HEAD; empty if HEAD is detached. */
  readonly headReference: string;
  /** Oldest first. */
  readonly steps: readonly BackupStep[];
}

const TAGS = 'refs/tags/';

/** Encodes a manifest as Gitaly does, so that its tools can read it. */
export function encodeManifest(manifest: BackupManifest): string {
  const lines = [
    `empty = ${manifest.empty}`,
    `non_existent = ${manifest.nonExistent}`,
    `object_format = ${text(manifest.objectFormat)}`,
    ...optional('head_reference', manifest.headReference),
    '',
  ];
  for (const step of manifest.steps)
    lines.push(
      '[[steps]]',
      `bundle_path = ${text(step.bundlePath)}`,
      `ref_path = ${text(step.refPath)}`,
      ...optional('previous_ref_path', step.previousRefPath ?? ''),
      `custom_hooks_path = ${text(step.customHooksPath)}`,
      '',
    );
  return lines.join('\n');
}

function optional(key: string, value: string): string[] {
  return value === '' ? [] : [`${key} = ${text(value)}`];
}

/** Quotes a TOML string: in apostrophes where its characters allow it. */
function text(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: TOML forbids them between apostrophes
  if (!/['\0-\x08\x0a-\x1f\x7f]/.test(value)) return `'${value}'`;
  // JSON leaves this control character as it is.
  return JSON.stringify(value).replaceAll('\x7f', '\\u007f');
}

/** A manifest without the field `empty`, as Gitaly 16.7 writes it. */
export type UndecidedManifest = Omit<BackupManifest, 'empty'> & { readonly empty: boolean | undefined };

/**
 * Decodes a manifest. @throws {Error} if it is not TOML, has other fields, or has keys outside the
 * bucket.
 */
export function decodeManifest(document: string): UndecidedManifest {
  const fields = JsonFields.of(parse(document)) ?? JsonFields.NONE;
  return {
    empty: fields.has('empty') ? fields.required('empty', 'flag') : undefined,
    nonExistent: fields.has('non_existent') && fields.required('non_existent', 'flag'),
    objectFormat: textOrEmpty(fields, 'object_format'),
    headReference: headOf(fields),
    steps: (fields.has('steps') ? fields.required('steps', 'list') : []).map((item) =>
      decodeStep(JsonFields.of(item) ?? JsonFields.NONE),
    ),
  };
}

function textOrEmpty(fields: JsonFields, name: string): string {
  return fields.has(name) ? fields.required(name, 'text') : '';
}

/** @throws {Error} for a target that HEAD of no repository has. */
function headOf(fields: JsonFields): string {
  const target = textOrEmpty(fields, 'head_reference');
  const isPossible = target.startsWith('refs/') && !target.startsWith(TAGS);
  if (target !== '' && !isPossible)
    throw new Error(`the manifest is damaged: HEAD cannot be ${quote(target)}, head_reference is a branch`);
  return target;
}

function decodeStep(fields: JsonFields): BackupStep {
  const previousRefPath = fields.text('previous_ref_path');
  return {
    bundlePath: checkedKey(fields.required('bundle_path', 'text')),
    refPath: checkedKey(fields.required('ref_path', 'text')),
    ...(previousRefPath !== undefined && { previousRefPath: checkedKey(previousRefPath) }),
    customHooksPath: checkedKey(fields.required('custom_hooks_path', 'text')),
  };
}

/** @throws {Error} for a path that is not in normal form: no program writes `..` in it. */
function checkedKey(path: string): string {
  const key = objectKey(path);
  if (key !== path) throw new Error(`the manifest is damaged: ${quote(path)} is not the path of an object`);
  return key;
}
