import { parseArgs } from 'node:util';
import { isError } from '#base/is-error';
import type { Bench } from './bench.ts';

/** Work that the command line requests: some benches, or a text to print. */
export type BenchArguments =
  | {
      readonly kind: 'run';
      readonly chosen: readonly Bench[];
      readonly quick: boolean;
      readonly gitTable: boolean;
    }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'wrong'; readonly text: string };

const USAGE = `Usage: npm run bench -- [options]

Run the benches one after another; print one table, and write it to bench/results/.

Options:
  --only NAME   run one bench
  --quick       smaller data: a rough result in about a minute, not for decisions
  --git-table   run the benches that are compared with git, and print a table in Markdown
  -h, --help    print this help

Examples:
  npm run bench -- --quick
  npm run bench -- --only clone
  make bench -- --only clone          builds dist/ first, which the benches run

Exit code 0 on success (a missed goal is a result), 1 if a bench failed, 2 for wrong usage.
`;
const HELP_HINT = 'Run "npm run bench -- --help" for all options.';

/**
 * Parses the arguments of `bench/run.ts`.
 *
 * @param compared names of the benches of `--git-table`.
 */
export function parseBenchArguments(
  args: readonly string[],
  benches: readonly Bench[],
  compared: ReadonlySet<string>,
): BenchArguments {
  const values = parseOptions(args);
  if (values instanceof Error) return { kind: 'wrong', text: `${values.message}\n${HELP_HINT}` };
  const { only, quick, help, 'git-table': gitTable } = values;
  if (help) return { kind: 'help', text: `${USAGE}\nBenches:\n${listOf(benches)}` };
  const isChosen = ({ name }: Bench): boolean =>
    only === undefined ? !gitTable || compared.has(name) : name === only;
  const chosen = benches.filter(isChosen);
  if (chosen.length > 0) return { kind: 'run', chosen, quick, gitTable };
  return { kind: 'wrong', text: `There is no bench ${JSON.stringify(only)}. There are:\n${listOf(benches)}` };
}

function parseOptions(args: readonly string[]) {
  try {
    const options = {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      'git-table': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    } as const;
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    if (!isError(error) || !('code' in error) || !String(error.code).startsWith('ERR_PARSE_ARGS_'))
      throw error;
    return new Error(error.message.split('. ', 1)[0]);
  }
}

function listOf(benches: readonly Bench[]): string {
  const width = Math.max(...benches.map(({ name }) => name.length));
  return benches.map(({ name, question }) => `  ${name.padEnd(width)}  ${question}\n`).join('');
}
