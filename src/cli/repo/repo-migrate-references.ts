import { messageWithHint } from '#base/gitaly-error';
import { formatBar } from '#tools/import/progress-bar';
import { ProgressLine, type TerminalOutput } from '#tools/progress-line';
import { type MigrationListener, migrateAll } from '#tools/repo/migrate-all';
import { type ReferenceFormat, Repositories } from '#tools/repo/repositories';
import { openServer, UsageError } from '../serve/open-server.ts';
import type { RepoConsole, RepoOptions } from './repo.ts';

export interface MigrateReferencesOptions extends RepoOptions {
  readonly format?: ReferenceFormat;
  readonly all?: boolean;
  readonly prefix?: string;
  readonly dryRun?: boolean;
  readonly jobs: number;
}

/** Exit code if some repositories were migrated, or needed no migration, and others failed. */
const PARTIAL = 3;

/**
 * Runs `gitaly-ts repo migrate-references`.
 *
 * @returns the exit code: 0 when all repositories have the format (or would be migrated), 3 when
 *   some failed, 1 when all did, 2 for wrong usage.
 */
export async function migrateReferences(
  texts: readonly string[],
  options: MigrateReferencesOptions,
  on: RepoConsole,
): Promise<number> {
  try {
    const { format, jobs, dryRun: isDryRun = false } = options;
    if (format === undefined) throw new UsageError('give the format: --format reftable or --format files');
    await using target = await openServer(options.to, '--to');
    const repositories = new Repositories(target.connection, options.storage);
    const names = await namesOf(texts, options, repositories);
    using report = new MigrationReport(names.length, options, on);
    await migrateAll(repositories, names, { format, jobs, isDryRun, listener: report });
    return report.end();
  } catch (error) {
    on.stderr.write(`gitaly-ts repo: ${messageWithHint(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function namesOf(
  texts: readonly string[],
  { all = false, prefix }: MigrateReferencesOptions,
  repositories: Repositories,
): Promise<string[]> {
  if ([texts.length > 0, all, prefix !== undefined].filter(Boolean).length !== 1)
    throw new UsageError('name repositories, or give --all or --prefix');
  const names: string[] = [];
  if (texts.length > 0) for (const text of texts) names.push(await repositories.nameOf(text));
  else
    for await (const { name } of repositories.list({ pools: true }))
      if (name.startsWith(prefix ?? '')) names.push(name);
  return names;
}

/** Prints a line for each repository, on a terminal also a progress bar, and the counts at the end. */
class MigrationReport implements MigrationListener, Disposable {
  readonly #total: number;
  readonly #isJson: boolean;
  readonly #stdout: TerminalOutput;
  readonly #stderr: TerminalOutput;
  readonly #line: ProgressLine;
  readonly #startedMs = performance.now();
  readonly #names: Record<Outcome, string[]> = { migrated: [], needed: [], unchanged: [], failed: [] };

  constructor(total: number, { json = false }: RepoOptions, { stdout, stderr }: RepoConsole) {
    this.#total = total;
    this.#isJson = json;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#line = new ProgressLine(stderr, (columns) => this.#bar(columns));
  }

  onDone(name: string, outcome: Exclude<Outcome, 'failed'>): void {
    this.#names[outcome].push(name);
    if (!this.#isJson) this.#line.print(this.#stdout, `${outcome.padEnd(9)}  ${name}\n`);
  }

  onFailed(name: string, reason: string): void {
    this.#names.failed.push(name);
    this.#line.print(this.#stderr, `failed     ${name}  ${reason}\n`);
  }

  /** Prints the result. @returns the exit code. */
  end(): number {
    const { failed } = this.#names;
    const result = this.#isJson ? JSON.stringify(this.#names, undefined, 2) : this.#facts().join(', ');
    this.#line.print(this.#stdout, `${result}\n`);
    if (failed.length === 0) return 0;
    return failed.length < this.#total ? PARTIAL : 1;
  }

  [Symbol.dispose](): void {
    this.#line[Symbol.dispose]();
  }

  #facts(): string[] {
    const facts = Object.entries(this.#names)
      .filter(([, names]) => names.length > 0)
      .map(([outcome, names]) => `${names.length} ${outcome}`);
    return facts.length === 0 ? ['no repositories'] : facts;
  }

  #bar(columns: number): string {
    const done = Object.values(this.#names).reduce((sum, names) => sum + names.length, 0);
    const elapsedSeconds = (performance.now() - this.#startedMs) / 1000;
    const state = { total: this.#total, done, fraction: done / this.#total, elapsedSeconds };
    return formatBar({ ...state, facts: this.#facts() }, columns);
  }
}

type Outcome = 'migrated' | 'needed' | 'unchanged' | 'failed';
