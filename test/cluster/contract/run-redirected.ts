import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { HEAP_OPTIONS } from '../../../scripts/tests/run-files.ts';
import type { ReportedTest } from './json-lines.ts';

const OWN_MODULES = `${import.meta.dirname}/../../../scripts/tests/own-modules.ts`;

export interface RedirectedTests {
  /** A module that replaces the server of the tests. */
  readonly redirect: string;
  /** Globs. */
  readonly files: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /**
   * Gives each file a process. Without it they share one, as recordings can: they have no hooks
   * outside of a suite.
   */
  readonly separately: boolean;
}

/** Runs tests of a single server, in a child process, with another server. */
export async function runRedirected({
  env: added,
  files,
  redirect,
  separately,
}: RedirectedTests): Promise<ReportedTest[]> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const program = `${import.meta.dirname}/report-tests.ts`;
  const imports = [OWN_MODULES, redirect].map((module) => `--import=${module}`);
  const options = [...HEAP_OPTIONS, '--conditions=source', ...imports];
  const args = [...options, program, separately ? 'process' : 'none', ...files];
  const child = spawn(process.execPath, args, {
    env: { ...env, ...added },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'close');
  const tests: ReportedTest[] = [];
  // Workers of servers write their logs between the lines of the tests.
  for await (const line of createInterface({ input: child.stdout }))
    if (line.includes('"result":')) tests.push(JSON.parse(line) as ReportedTest); // from json-lines.ts
  await exited;
  return tests;
}
