import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript-5.9';
import { gitalyServices } from '#wire/methods';
import { callName } from './typed-client.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** Names of the connection's clients by service, from the getters of its class. */
function getters(): Map<string, string> {
  const text = readFileSync(join(ROOT, 'src/client/connection.ts'), 'utf8');
  const found = text.matchAll(/^ {2}get (\w+)\(\): ClientOf<typeof (\w+)> \{$/gm);
  return new Map([...found].map(([, getter = '', service = '']) => [service, getter]));
}

/** Returns the documentation that an editor shows for each `connection.<service>.<method>`. */
function hoverTexts(expressions: readonly string[]): Map<string, string> {
  const file = join(ROOT, 'src/client/hover.example.ts');
  const text = [
    "import type { Connection } from '#client/connection';",
    'export function calls(connection: Connection) {',
    '  return [',
    ...expressions.map((expression) => `connection.${expression},`),
    '  ];',
    '}',
  ].join('\n');
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [file] }, ts.sys, ROOT);
  const service = ts.createLanguageService({
    getCompilationSettings: () => ({ ...options, noEmit: true, types: [] }),
    getScriptFileNames: () => [file],
    getScriptVersion: () => '1',
    getScriptSnapshot: (path) => {
      const content = path === file ? text : ts.sys.readFile(path);
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content);
    },
    getCurrentDirectory: () => ROOT,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (path) => path === file || ts.sys.fileExists(path),
    readFile: (path) => (path === file ? text : ts.sys.readFile(path)),
    directoryExists: ts.sys.directoryExists,
  });
  const shown = expressions.map((expression) => {
    const at = text.indexOf(`connection.${expression},`) + `connection.${expression}`.length - 1;
    const info = service.getQuickInfoAtPosition(file, at);
    return [expression, ts.displayPartsToString(info?.documentation)] as const;
  });
  service.dispose();
  return new Map(shown);
}

test('an editor shows the documentation of every RPC', () => {
  const clients = getters();
  const expressions = gitalyServices
    .filter(({ name }) => clients.has(name))
    .flatMap(({ name, methods }) => methods.map((method) => `${clients.get(name)}.${callName(method)}`));
  assert.ok(expressions.length > 150);

  const texts = hoverTexts(expressions);

  assert.match(texts.get('commit.findCommit') ?? '', /^Reads one commit/);
  assert.deepEqual(
    expressions.filter((expression) => (texts.get(expression) ?? '').length < 10),
    [],
  );
});
