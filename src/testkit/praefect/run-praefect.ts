import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { praefectArguments, praefectProgram } from '#cli/programs/praefect-program';
import { runCommandLine } from '#cli/programs/run-program';
import { programCommand } from '../programs/program-command.ts';
import { type RunResult, run } from '../run-program.ts';
import { makeScratchDirectory } from '../scratch-directory.ts';
import type { TestDatabase } from '../servers/start-postgres.ts';
import type { TestCluster } from '../start-cluster.ts';
import { clusterTables } from './cluster-tables.ts';

/** A cluster with a database. */
export interface PraefectTarget {
  readonly cluster: {
    readonly address: string;
    readonly nodes: readonly Pick<TestCluster['nodes'][number], 'address'>[];
  };
  readonly postgres: Pick<TestDatabase, 'config'>;
}

/**
 * Runs a command of `praefect` with the configuration of a cluster with a database. It runs in this
 * process, because starting a program takes 0.35 s of CPU time. {@link runPraefectProgram} starts
 * one.
 */
export async function runPraefect(target: PraefectTarget, ...args: string[]): Promise<RunResult> {
  return await withConfiguration(target, async (path) => await runPraefectHere('-config', path, ...args));
}

/** Runs a command line of `praefect` in this process. */
export async function runPraefectHere(...args: string[]): Promise<RunResult> {
  const stdout = new TextCollector();
  const stderr = new TextCollector();
  const code = await runCommandLine(
    args,
    (exit) => praefectProgram(exit, { stdout, stderr }),
    praefectArguments,
  );
  return { stdout: stdout.text, stderr: stderr.text, code };
}

class TextCollector {
  text = '';

  write(text: string): void {
    this.text += text;
  }
}

/** Runs a command like {@link runPraefect}, in a separate process. */
export async function runPraefectProgram(target: PraefectTarget, ...args: string[]): Promise<RunResult> {
  return await withConfiguration(
    target,
    async (path) => await run(process.execPath, [...programCommand('praefect'), '--config', path, ...args]),
  );
}

async function withConfiguration(
  { cluster, postgres }: PraefectTarget,
  runWith: (path: string) => Promise<RunResult>,
): Promise<RunResult> {
  const directory = makeScratchDirectory('praefect-command');
  const path = join(directory, 'config.toml');
  const addresses = cluster.nodes.map(({ address }) => address);
  writeFileSync(
    path,
    `socket_path = "${cluster.address.slice('unix:'.length)}"
${clusterTables(postgres, addresses)}`,
  );
  try {
    return await runWith(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
