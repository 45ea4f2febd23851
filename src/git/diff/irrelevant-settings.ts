/**
 * Sections of ordinary repositories and of the server, without `diff`, `color`, `submodule` and
 * `include`.
 */
const OTHER_SECTIONS: ReadonlySet<string> = new Set([
  'advice',
  'attr',
  'branch',
  'commit',
  'core',
  'extensions',
  'fetch',
  'gc',
  'gitlab',
  'http',
  'maintenance',
  'midx',
  'pack',
  'protocol',
  'receive',
  'reftable',
  'remote',
  'repack',
  'tag',
  'transfer',
  'uploadpack',
]);

/** Reports whether a setting (`section.name`) never changes the output of a comparison. */
export function isIrrelevantToDiff(key: string): boolean {
  return OTHER_SECTIONS.has(key.slice(0, key.indexOf('.')).toLowerCase());
}
