import { Secret } from '#base/secret';
import { fieldName, isTable, type RawTable } from './decode.ts';
import type { Fields } from './keys.ts';

/**
 * Overrides `bottom` with `top`: tables key by key, everything else as a whole. `top` may use the
 * names of Go fields.
 */
export function overlay(fields: Fields, bottom: RawTable, top: RawTable): RawTable {
  const merged: RawTable = { ...bottom };
  for (const [name, value] of Object.entries(top)) {
    if (value === null || value === undefined) continue;
    const known = jsonFieldName(fields, name) ?? name;
    const node = fields[known];
    const existing =
      Object.keys(merged).find((candidate) => candidate.toLowerCase() === known.toLowerCase()) ?? known;
    if (node?.kind === 'table' && isTable(value)) {
      const below = merged[existing];
      merged[existing] = overlay(node.fields, isTable(below) ? below : {}, value);
    } else if (node?.kind === 'tables' && Array.isArray(value)) {
      merged[existing] = value.map((item: unknown) =>
        isTable(item) ? overlay(node.fields, {}, item) : item,
      );
    } else merged[existing] = asToml(value);
  }
  return merged;
}

/**
 * Resolves JSON names that differ from the TOML names: `cert_path`, `http_settings`, and Go field
 * names (`MemoryBytes`).
 */
function jsonFieldName(fields: Fields, name: string): string | undefined {
  const squash = (text: string): string => text.toLowerCase().replace(/[-_]/g, '');
  const wanted = squash(name) === 'certpath' ? 'certificatepath' : squash(name);
  return fieldName(fields, name) ?? Object.keys(fields).find((candidate) => squash(candidate) === wanted);
}

function asToml(value: unknown): unknown {
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map(asToml);
  return value instanceof Secret ? value.reveal() : value;
}
