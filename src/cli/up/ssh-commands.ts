import { addAbortListener } from 'node:events';
import { parseArgs } from 'node:util';
import { GitalyError, messageWithHint } from '#base/gitaly-error';
import { writeChunk } from '#base/streams/copy-stream';
import { dial } from '#client/index';
import { callMetadata } from '#gateway/call-metadata';
import { mayCreate } from '#gateway/identity';
import type { Identity, PeopleCommand, PeopleCommands, Right } from '#gateway/index';
import { checkRepositoryPath, type RepositoryPath } from '#gateway/repository-path';
import { RIGHTS } from '#gateway/rights';
import { Repositories } from '#tools/repo/repositories';
import { descriptionOf, type Holder, holderOf } from './ssh-rights.ts';
import { lfsAuthenticate, type SshLfs } from './up-lfs.ts';

/** A command that cannot be meant. */
class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The server behind the gateway. */
interface Target {
  readonly address: string;
  readonly token?: string;
  readonly storage: string;
}

interface Result {
  readonly json: unknown;
  readonly lines: readonly string[];
}

interface Call {
  readonly repositories: Repositories;
  readonly holder: Holder;
  readonly identity: Identity;
  readonly operands: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  note(text: string): void;
}

interface RepoCommand {
  readonly usage: string;
  readonly options?: Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>;
  readonly operands: readonly [least: number, most: number];
  run(call: Call): Promise<Result>;
}

/** Names in a list: its lines are in memory. */
const MAX_LISTED = 10_000;
const TIMEOUT_MS = 60_000;
/** The command that git-lfs calls by SSH. */
const LFS_AUTHENTICATE = 'git-lfs-authenticate';
const FORMATS = ['sha1', 'sha256'] as const;

/** The commands of `gitaly-ts repo` that make sense from afar, with the same words. */
const COMMANDS: Readonly<Record<string, RepoCommand>> = {
  list: { usage: 'list', operands: [0, 0], run: list },
  create: {
    usage: 'create NAME [--branch BRANCH] [--object-format sha1|sha256]',
    options: { branch: { type: 'string' }, 'object-format': { type: 'string' } },
    operands: [1, 1],
    run: create,
  },
  rename: { usage: 'rename NAME NEW-NAME', operands: [2, 2], run: rename },
  remove: {
    usage: 'remove NAME… --yes',
    options: { yes: { type: 'boolean' } },
    operands: [1, 50],
    run: remove,
  },
  'default-branch': { usage: 'default-branch NAME [BRANCH]', operands: [1, 2], run: defaultBranch },
  description: { usage: 'description NAME [TEXT]', operands: [1, 2], run: description },
};

const HELP = [
  'Commands, each with --json:',
  ...Object.values(COMMANDS).map(({ usage }) => `  repo ${usage}`),
  'A text with blanks is written in two kinds of quotes: "\'A text\'".',
];

/**
 * Returns the commands of the SSH gateway of `up`.
 *
 * @param lfs where git-lfs finds files.
 * @param byDefault right of users without rights of their own: everybody, and the keys of a file.
 */
export function sshCommands(target: Target, byDefault: Right, lfs: SshLfs): PeopleCommands {
  return {
    names: ['help', 'repo', LFS_AUTHENTICATE],
    run: async (command) => {
      const holder = holderOf(command.identity, byDefault);
      try {
        return await run(command, holder, { ...target, lfs });
      } catch (error) {
        if (command.signal.aborted) throw error;
        command.onError(error);
        command.stderr.write(`${messageWithHint(error)}\n`);
        return error instanceof UsageError ? 2 : 1;
      }
    },
  };
}

async function run(
  command: PeopleCommand,
  holder: Holder,
  target: Target & { readonly lfs: SshLfs },
): Promise<number> {
  const [group, name = '', ...args] = command.words;
  const say = async (lines: readonly string[]): Promise<number> => {
    await writeChunk(command.stdout, Buffer.from(lines.map((line) => `${line}\n`).join('')));
    return 0;
  };
  if (group === undefined) return await say([...(await descriptionOf(holder, command.identity)), ...HELP]);
  if (group === LFS_AUTHENTICATE) return await say([await lfsAuthenticate(command, holder, target.lfs)]);
  if (group === 'help' || name === 'help') return await say(HELP);
  const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (found === undefined) throw new UsageError(`There is no such command. ${HELP.join('\n')}`);
  const { json: isJson = false, operands, options } = parse(found, args);
  const { identity, remoteAddress, signal, stderr } = command;
  const { address, storage, token } = target;
  await using connection = await dial(address, {
    ...(token !== undefined && { token }),
    defaultTimeoutMs: TIMEOUT_MS,
    metadata: callMetadata({ identity, remoteAddress }),
  });
  using _stop = addAbortListener(signal, () => void connection.close());
  const repositories = new Repositories(connection, storage);
  const note = (text: string): void => void stderr.write(`${text}\n`);
  const { json, lines } = await found.run({ repositories, holder, identity, operands, options, note });
  return await say(isJson ? [JSON.stringify(json, undefined, 2)] : lines);
}

function parse({ operands: [least, most], options, usage }: RepoCommand, args: readonly string[]) {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      options: { ...options, json: { type: 'boolean' } },
      allowPositionals: true,
    });
    if (positionals.length < least || positionals.length > most) throw new TypeError('wrong number of words');
    return { json: values.json === true, operands: positionals, options: { ...values } };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(`usage: repo ${usage} [--json]`, { cause: error });
  }
}

async function list({ holder, note, repositories }: Call): Promise<Result> {
  const found: { readonly name: string }[] = [];
  for await (const one of repositories.list()) {
    const path = checkRepositoryPath(one.name.split('/'));
    if (typeof path !== 'string' || (await holder.at(path)) === undefined) continue;
    if (found.length === MAX_LISTED) {
      note(`These are the first ${MAX_LISTED} repositories.`);
      break;
    }
    found.push(one);
  }
  return { json: found, lines: found.map(({ name }) => name) };
}

async function create({
  holder,
  identity,
  operands: [text = ''],
  options,
  repositories,
}: Call): Promise<Result> {
  const format = FORMATS.find((one) => one === (options['object-format'] ?? 'sha1'));
  if (format === undefined) throw new UsageError('the format of objects is sha1 or sha256');
  const path = pathOf(text);
  await require(holder, path, 'write', text);
  if (!mayCreate(identity)) throw new GitalyError('PERMISSION_DENIED', `you may not create ${text}`);
  const branch = typeof options.branch === 'string' ? options.branch : 'main';
  const created = await repositories.create(path, { branch, objectFormat: format });
  return { json: { created }, lines: [`created ${created}`] };
}

async function rename({ holder, operands: [from = '', to = ''], repositories }: Call): Promise<Result> {
  const path = pathOf(to);
  const name = await existing(repositories, holder, from, 'admin');
  await require(holder, path, 'admin', to);
  const renamed = await repositories.rename(name, path);
  return { json: { from: name, to: renamed }, lines: [`renamed ${name} to ${renamed}`] };
}

async function remove({ holder, operands, options, repositories }: Call): Promise<Result> {
  const names: string[] = [];
  for (const text of operands) names.push(await existing(repositories, holder, text, 'admin'));
  if (options.yes !== true)
    throw new UsageError('nothing was removed: add --yes to remove without a question');
  await repositories.remove(names);
  return { json: { removed: names }, lines: names.map((name) => `removed ${name}`) };
}

async function defaultBranch({ holder, operands: [text = '', branch], repositories }: Call): Promise<Result> {
  const name = await existing(repositories, holder, text, branch === undefined ? 'read' : 'admin');
  if (branch !== undefined) await repositories.setDefaultBranch(name, branch);
  const now = await repositories.defaultBranch(name);
  return { json: { name, defaultBranch: now }, lines: [now] };
}

async function description({ holder, operands: [text = '', given], repositories }: Call): Promise<Result> {
  const name = await existing(repositories, holder, text, given === undefined ? 'read' : 'admin');
  if (given !== undefined) await repositories.setDescription(name, given);
  const now = await repositories.description(name);
  return { json: { name, description: now }, lines: now === '' ? [] : [now] };
}

/** Returns the name of a repository to which somebody has a right. */
async function existing(
  repositories: Repositories,
  holder: Holder,
  text: string,
  right: Right,
): Promise<string> {
  const path = pathOf(text);
  await require(holder, path, right, text);
  return await repositories.nameOf(text);
}

/** Requires a right to a repository. One that somebody may not read does not exist for them. */
async function require(holder: Holder, path: RepositoryPath, right: Right, text: string): Promise<void> {
  const has = await holder.at(path);
  if (has === undefined && right !== 'write')
    throw new GitalyError('NOT_FOUND', `there is no repository ${text}`);
  if (has === undefined || RIGHTS.indexOf(has) < RIGHTS.indexOf(right))
    throw new GitalyError('PERMISSION_DENIED', `you need the right ${right} to do this with ${text}`);
}

function pathOf(text: string): RepositoryPath {
  const path = checkRepositoryPath(text.split('/'));
  if (typeof path !== 'string') throw new UsageError(path.refusal);
  return path;
}
