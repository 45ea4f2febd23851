import { readFileSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSync } from 'oxc-parser';
import { reachable } from '../packages/reachable.ts';

const TYPE_WITH_VALUE = /^export (?:declare )?(?:abstract )?(?:class|enum) (?<name>\w+)/gm;

/**
 * Writes `entry/NAME.d.cts` for each entry point: the same declarations for files that TypeScript
 * compiles to `require()`, which Node 24 answers with the module. With `"module": "node16"`
 * TypeScript would refuse the declarations of an ES module there.
 *
 * @param entries module with the declarations of each entry point, without its ending
 */
export function writeCommonJsTypes(dist: string, entries: Readonly<Record<string, string>>): void {
  for (const [name, module] of Object.entries(entries)) {
    const types = new Set(
      reachable(dist, [`${module}.d.ts`]).files.flatMap((file) =>
        [...readFileSync(join(dist, file), 'utf8').matchAll(TYPE_WITH_VALUE)].map(
          ({ groups }) => groups?.name,
        ),
      ),
    );
    const path = join(dist, 'entry', `${name}.js`);
    const source = `'${posix.join('..', module)}.js' with { 'resolution-mode': 'import' };`;
    const values = exportsOf(path);
    const lines = [
      `import type * as m from ${source}`,
      `export type * from ${source}`,
      `export declare const\n${values.map((value) => `${value}: typeof m.${value}`).join(',\n')};`,
      ...values.filter((value) => types.has(value)).map((value) => `export type ${value} = m.${value};`),
    ];
    writeFileSync(path.replace(/js$/, 'd.cts'), `${lines.join('\n')}\n`);
  }
}

/** Returns the names that a module exports. */
function exportsOf(path: string): string[] {
  const { staticExports } = parseSync(path, readFileSync(path, 'utf8')).module;
  return staticExports.flatMap(({ entries }) =>
    entries.map(({ exportName }) => exportName.name).filter((name) => name !== null),
  );
}
