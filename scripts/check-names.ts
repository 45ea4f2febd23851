/**
 * Refuses two exports of one name in different files of a module, unless name-list.ts gives a
 * reason. A reader who knows one of them would take the other for it. Re-exports do not count. It
 * complains when it finds no export.
 */
import { RULES, TEST_MODULE } from './layer-rules.ts';
import { SAME_NAMES } from './name-list.ts';
import type { Findings, SourceTree } from './source-tree.ts';

/** Matches declarations that are exported, at the start of a line. */
const EXPORT =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|interface|type|const|let) (?<name>[\w$]+)/gm;

export function checkNames(tree: SourceTree): Findings {
  /** Files of each exported name, by `module: name`. */
  const places = new Map<string, Set<string>>();
  for (const path of tree.files('src/**/*.ts', /\.test\.ts$|^src\/wire\/gen\//)) {
    const file = path.slice('src/'.length);
    for (const { groups } of tree.text(path).matchAll(EXPORT)) {
      const key = `${moduleOf(file)}: ${groups?.name}`;
      places.set(key, (places.get(key) ?? new Set()).add(file));
    }
  }

  const complaints = places.size === 0 ? ['saw no export'] : [];
  for (const [key, found] of places)
    if (found.size > 1 && SAME_NAMES[key] === undefined) complaints.push(`${key}: ${[...found].join(', ')}`);
  if (tree.isProject)
    for (const key of Object.keys(SAME_NAMES))
      if ((places.get(key)?.size ?? 0) < 2)
        complaints.push(`${key}: exported once now; remove it from scripts/name-list.ts`);
  return { complaints, summary: `${places.size} exports` };
}

/** Returns the module of a path below `src`. Each service is a module. */
function moduleOf(file: string): string {
  const names = [...Object.keys(RULES), TEST_MODULE].filter((name) => name !== 'services');
  return names.find((name) => file.startsWith(`${name}/`)) ?? file.split('/').slice(0, 2).join('/');
}
