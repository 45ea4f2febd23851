import { type Command, Option } from 'commander';
import { pushRuleKinds } from '#tokens/push-rules';
import type { CreateTokenOptions, TokenOptions } from '../people/token.ts';
import { parseLifetime } from './option-values.ts';
import { addToolCommand, runOnUse, type ToolProcess } from './tool-command.ts';

const OPTIONS = [['--to <dir>', 'the directory of "gitaly-ts up"', 'data']] as const;

/** Adds `gitaly-ts token`. Its code is loaded on use. */
export function addTokenCommands(program: Command, on: ToolProcess = process): void {
  const token = program
    .command('token')
    .description('Issue, list and revoke tokens with limited access, for "gitaly-ts up --tokens".')
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts token create ci --repository 'team/**' --access write --expires 90d
  gitaly-ts token create bot --repository team/site --access write \\
    --ref 'allow refs/heads/bot/** no-force' --ref 'deny refs/**'
  gitaly-ts token list
  gitaly-ts token revoke 5f0c2a9be1d34c7788a6f3d20b94e17c

A token is the password of any name, or a bearer token. Exit code 0 on success, 1 after a failure,
2 for wrong usage.`,
    );
  addCreate(token, on);
  addList(token, on);
  addRevoke(token, on);
  addRotate(token, on);
}

function addCreate(token: Command, on: ToolProcess): void {
  const examples = [
    "create ci --repository 'team/**' --access write --expires 90d",
    "create docs --repository team/site --access write --ref 'allow refs/heads/main no-force path=docs/'",
  ];
  const create = addToolCommand(token, {
    name: 'create',
    description: 'Issue a token and print it once.',
    examples,
    options: OPTIONS,
  })
    .alias('issue')
    .argument('<name>', 'person or program; hooks and logs show this name')
    .option(
      '--repository <pattern>',
      'repositories: * is any part of a name, ** any path; may be repeated',
      collect,
    )
    .addOption(
      new Option('--access <access>', 'what the token allows; admin also creates repositories by a push')
        .choices(['read', 'write', 'admin'])
        .default('read'),
    )
    .addOption(
      new Option('--expires <time>', 'time until it expires: 90m, 12h, 30d, never')
        .argParser(parseLifetime)
        .default(30 * 86_400, '30d'),
    );
  const options = pushRuleKinds().flatMap(([kind, rule]) => {
    if (rule.option === undefined) return [];
    const option = new Option(rule.option.flags, rule.option.description).argParser(collect);
    create.addOption(option);
    return [[kind, option.attributeName()] as const];
  });
  create.action(async (name: string, values: TokenOptions & Record<string, unknown>) => {
    const { createToken } = await import('../people/token.ts');
    const rules = Object.fromEntries(options.map(([kind, attribute]) => [kind, values[attribute]]));
    on.exitCode = await createToken(name, { ...values, rules } as CreateTokenOptions, on); // parsed above
  });
}

function addList(token: Command, on: ToolProcess): void {
  const examples = ['list', 'list --to /srv/git --json'];
  addToolCommand(token, {
    name: 'list',
    description: 'Print the tokens, also those that expired in the last 30 days.',
    examples,
    options: OPTIONS,
  }).action(runOnUse(on, async () => (await import('../people/token.ts')).listTokens));
}

function addRevoke(token: Command, on: ToolProcess): void {
  const examples = ['revoke 5f0c2a9be1d34c7788a6f3d20b94e17c', 'revoke --name ci'];
  addToolCommand(token, {
    name: 'revoke',
    description: 'Revoke tokens: the next request with one is refused.',
    examples,
    options: OPTIONS,
  })
    .argument('[id...]', 'ids of tokens, as "token list" prints them')
    .option('--name <name>', 'all tokens of this name')
    .action(runOnUse(on, async () => (await import('../people/token.ts')).revokeTokens));
}

function addRotate(token: Command, on: ToolProcess): void {
  const examples = ['rotate-keys', 'rotate-keys --remove 5f0c2a9be1d34c7788a6f3d20b94e17c'];
  addToolCommand(token, {
    name: 'rotate-keys',
    description: 'Make a new key for signing; tokens of older keys stay valid.',
    examples,
    options: OPTIONS,
  })
    .option('--remove <id>', 'remove this key: its tokens are refused from now on; may be repeated', collect)
    .action(runOnUse(on, async () => (await import('../people/token.ts')).rotateKeys));
}

function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
