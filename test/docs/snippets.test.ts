import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript-5.9';

const ROOT = join(import.meta.dirname, '../..');
/** Generated from declarations, which are compiled where they are. */
const GENERATED = /reference\.md$/;

/** Names that the text around the snippets explains. A snippet may have its own of a name. */
const EXPLAINED = `
  import type * as client from 'gitaly-ts/client';
  import type * as gateway from 'gitaly-ts/gateway';
  import type * as repositories from 'gitaly-ts/client/repository';
  import type * as testing from 'gitaly-ts/testing';
  import type assertions from 'node:assert/strict';
  declare global {
    const assert: typeof assertions;
    const { flagCombinations, lfsPointer, startGitaly, startInternalApi, startVotingServer }: typeof testing;
    const gitaly: Awaited<ReturnType<typeof testing.startGitaly>>;
    const { Pool, SidechannelRegistry, dial, dialSidechannel, healthCheckDialer }: typeof client;
    const { paginate, receivePack, uploadPack, uploadPackWithSidechannel }: typeof client;
    const { startSshGateway }: typeof gateway;
    const { MergeConflictError, Repository }: typeof repositories;
    const address: string, token: string, gitProtocol: string;
    const connection: client.Connection, oldConnection: client.Connection;
    const registry: client.SidechannelRegistry;
    const options: gateway.SshGatewayOptions;
    const repository: { storageName: string; relativePath: string };
    const request: { repository: typeof repository; revision: Uint8Array };
    const people: {
      byFingerprint(print: string): Promise<{ id: number; name: string; keyId: number } | undefined>;
    };
  }
`;
/** Pages on which a name means something else. */
const OTHERWISE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'docs/client/rails.md': {
    gitaly: "import('gitaly-ts/client/rails').GitalyClient",
    projects: 'unknown[]',
    renderProject: '(project: unknown) => Promise<string>',
    renderProjects: '(projects: unknown[]) => Promise<string>',
    project: 'unknown',
  },
  'docs/forks.md': { source: "import('gitaly-ts/client/repository').Repository" },
  'docs/client/repository.md': { repository: "import('gitaly-ts/client/repository').Repository" },
  'docs/testing.md': { repository: "Awaited<ReturnType<(typeof gitaly)['createRepository']>>" },
};

interface Snippet {
  /** File and number of its first line. */
  readonly place: string;
  readonly text: string;
}

function snippetsOf(page: string): Snippet[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ index, 1: code = '' }) => {
    const line = text.slice(0, index).split('\n').length + 1;
    return { place: `${page}:${line}`, text: code };
  });
}

/** Makes a snippet a module. The package of the client alone has the same code. */
function moduleOf({ place, text }: Snippet): string {
  const otherwise = Object.entries(OTHERWISE[place.replace(/:\d+$/, '')] ?? {})
    .filter(([name]) => !new RegExp(`^(?:const|await using) ${name}\\b`, 'm').test(text))
    .map(([name, type]) => `declare const ${name}: ${type};`);
  const code = text.replaceAll("'gitaly-client'", "'gitaly-ts/client'");
  return [code, ...otherwise, 'export {};', ''].join('\n');
}

/** Returns the errors of a compiler that resolves the package by its name, as a user's does. */
function problemsOf(snippets: readonly Snippet[]): string[] {
  const files = new Map(
    snippets.map((snippet, index) => [join(ROOT, `snippet-${index}.ts`), moduleOf(snippet)] as const),
  );
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, ROOT);
  const settings = { ...options, noEmit: true, noUnusedLocals: false, noUnusedParameters: false };
  const host = ts.createCompilerHost(settings);
  const { fileExists, getSourceFile, readFile } = host;
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = files.get(path);
    if (text === undefined) return getSourceFile(path, languageVersion, ...rest);
    return ts.createSourceFile(path, text, languageVersion);
  };
  files.set(join(ROOT, 'explained.ts'), EXPLAINED);
  const program = ts.createProgram([...files.keys()], settings, host);
  return [...files.keys()].flatMap((path, index) => {
    const source = program.getSourceFile(path);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    const place = snippets[index]?.place ?? 'EXPLAINED';
    return found.map(({ messageText }) => `${place}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
  });
}

test('the TypeScript in the docs compiles', () => {
  const pages = ['README.md', ...globSync('docs/**/*.md', { cwd: ROOT })].filter(
    (page) => !GENERATED.test(page),
  );
  const snippets = pages.flatMap(snippetsOf);
  assert.ok(snippets.length > 20);

  assert.deepEqual(problemsOf(snippets), []);
});
