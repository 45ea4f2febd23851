/**
 * Checks every import below `src` against the table in layer-rules.ts, and prints each offender as `file → import: reason`.
 * It also fails when it saw fewer files than there are, or none: a check that looks at nothing must not look green.
 *
 *   node scripts/check-layers.ts [ROOT]
 */
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix, resolve } from 'node:path';
import { ONLY_IN, type RoomRule, RULES, TEST_ROOM } from './layer-rules.ts';

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
const src = join(root, 'src');

/** `import … from 'x'`, `export … from 'x'`, `import 'x'` at the start of a line; `import('x')` anywhere. */
const IMPORT =
  /^(?:import|export)\s+(?<type>type\s)?(?:[^'";]*?\sfrom\s+)?['"](?<name>[^'"]+)['"]|\bimport\(\s*['"](?<dynamic>[^'"]+)['"]/gm;

const isOurs = (file: string): boolean => file.endsWith('.ts') && !file.startsWith('wire/gen/');
const files = globSync('**/*.ts', { cwd: src }).filter(isOurs).sort();
const existing = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(isOurs);

const complaints: string[] = [];
let imports = 0;
for (const file of files) {
  const room = roomOf(file);
  if (room === undefined) complaints.push(`${file}: this folder is no room; add it to scripts/layer-rules.ts`);
  else for (const match of readFileSync(join(src, file), 'utf8').matchAll(IMPORT)) check(file, room, match.groups ?? {});
}

if (files.length === 0 || files.length < existing.length)
  complaints.push(`saw ${files.length} of ${existing.length} files below src`);
if (imports === 0) complaints.push('saw no import at all');
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
else console.log(`layers: ${files.length} files, ${imports} imports, all downwards`);

function check(file: string, room: string, found: Record<string, string | undefined>): void {
  imports++;
  const name = found.name ?? found.dynamic ?? '';
  const reason = reasonAgainst(file, room, name, found.type !== undefined);
  if (reason !== undefined) complaints.push(`src/${file} → ${name}: ${reason}`);
}

function reasonAgainst(file: string, room: string, name: string, isType: boolean): string | undefined {
  if (isBuiltin(name)) return name.startsWith('node:') ? undefined : 'write node: before the names of Node’s own modules';
  if (name.startsWith('.')) {
    return roomOf(posix.join(posix.dirname(file), name)) === room ? undefined : 'leaves its room; write #room/path instead';
  }
  const isTest = room === TEST_ROOM || /\.test\.ts$/.test(file);
  if (isTest) return undefined;
  const rule = RULES[room] ?? { rooms: [] };
  return name.startsWith('#') ? reasonAgainstRoom(rule, room, name.slice(1), isType) : reasonAgainstPackage(rule, file, name);
}

function reasonAgainstRoom(rule: RoomRule, room: string, path: string, isType: boolean): string | undefined {
  if (roomOf(path) === room) return path.startsWith('wire/gen/') ? undefined : 'in its own room; write a relative path';
  const listed = (rooms: readonly string[] = []): boolean => rooms.some((each) => path === each || path.startsWith(`${each}/`));
  if (listed(rule.rooms) || (isType && listed(rule.types))) return undefined;
  return listed(rule.types) ? `${room} may import only types from here: import type` : `${room} may not import from here`;
}

function reasonAgainstPackage(rule: RoomRule, file: string, name: string): string | undefined {
  const listed = rule.packages?.find((each) => name === each || name.startsWith(`${each}/`));
  if (listed === undefined) return `${roomOf(file)} may not use this package`;
  const place = ONLY_IN[listed];
  return place === undefined || file.startsWith(place) ? undefined : `only ${place} may use this package`;
}

/** The room of a path below `src`: `rpc/server/x.ts` → `rpc/server`. */
function roomOf(path: string): string | undefined {
  return [...Object.keys(RULES), TEST_ROOM].find((room) => path.startsWith(`${room}/`));
}
