import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Repository } from '#client/repository/index';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type OpenConsoleOptions, type OpenedConsole, openConsole } from './open-console.ts';

const PATH = '/repository/team/a.git/-/settings';
const HOSTILE = `"><img/src=x/onerror=alert(1)></textarea><script>alert(1)</script>`;
const RULES = `{\n  "protected": [{ "on": "refs/heads/main", "update": ["ann"], "force": [] }]\n}\n`;
const PEOPLE = ['admin', 'writer', 'reader', 'stranger'] as const;
type Person = (typeof PEOPLE)[number];

/** Opens a console with a repository; with users if `authFile` is given. */
async function open(options: OpenConsoleOptions = {}) {
  const console = await openConsole(options);
  const kept = await console.gitaly.createRepository({ relativePath: 'team/a.git', commits: 2 });
  await kept.git(['branch', 'next', 'main~1']);
  const repository = new Repository(console.gitaly.connection, { path: 'team/a.git' });
  return { console, kept, repository };
}

/** Writes a file of users with different rights, whose tokens are their names. */
function writeUsers(context: TestContext): string {
  const directory = makeScratchDirectory('settings');
  context.after(() => rmSync(directory, { recursive: true }));
  const lineOf = (name: Person, access: string): string =>
    `${name} ${access.replace(' ', ` sha256:${createHash('sha256').update(name).digest('hex')} `)}\n`;
  const lines = [lineOf('admin', 'admin '), lineOf('writer', 'write team'), lineOf('reader', 'read team')];
  const path = join(directory, 'users');
  writeFileSync(path, [...lines, lineOf('stranger', 'read other')].join(''));
  return path;
}

const as = (name: Person): Record<string, string> => ({ authorization: `Basic ${btoa(`${name}:${name}`)}` });

/** Sends a form as a program does, or as a browser with the headers of one. */
async function post(
  { url }: OpenedConsole,
  fields: Record<string, string>,
  { address = PATH, headers = {} }: { address?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; location: string | null; text: string }> {
  const body = new URLSearchParams(fields);
  const response = await fetch(`${url}${address}`, { method: 'POST', body, headers, redirect: 'manual' });
  return {
    status: response.status,
    location: response.headers.get('location'),
    text: await response.text(),
  };
}

/** Returns the address of the forms of a page. */
function formAddress(text: string): string {
  const [, action = ''] = /<form class="setting" method="post" action="\/-\/console([^"]+)"/.exec(text) ?? [];
  return action.replaceAll('&amp;', '&');
}

test('settings are shown, changed by forms, and reported', async () => {
  const { console, kept, repository } = await open();
  await using _console = console;

  const changes = [
    [{ description: ' The web site ' }, /The description was changed/],
    [{ defaultBranch: 'next' }, /The default branch was changed/],
    [{ rules: RULES.replaceAll('\n', '\r\n') }, /The rules were changed/],
  ] as const;
  for (const [fields, notice] of changes) {
    const { location, status } = await post(console, fields);
    assert.equal(status, 303);
    const { text } = await console.get(location?.replace('/-/console', '') ?? '');
    assert.match(text, notice);
    assert.match(text, /role="status"/);
  }

  assert.equal(await repository.description(), 'The web site');
  assert.equal((await kept.git(['symbolic-ref', 'HEAD'])).trim(), 'refs/heads/next');
  assert.equal(await repository.rules(), RULES);
  assert.deepEqual(await console.json(PATH), {
    name: 'team/a.git',
    description: 'The web site',
    defaultBranch: 'next',
    rules: RULES,
    rulesProblem: null,
    mayChange: true,
  });
  const { text } = await console.get(PATH);
  assert.match(text, /aria-current="page">Settings</);
  assert.match(text, /<option value="next"><\/option>/);
  assert.doesNotMatch(text, /role="status"/);
  await post(console, { rules: ' \r\n' });
  assert.equal(await repository.rules(), undefined);
});

test('an empty repository has settings, too', async () => {
  await using console = await openConsole();
  const kept = await console.gitaly.createRepository({ relativePath: 'team/a.git' });

  assert.equal((await post(console, { defaultBranch: 'trunk' })).status, 303);

  assert.equal((await kept.git(['symbolic-ref', 'HEAD'])).trim(), 'refs/heads/trunk');
  assert.equal((await console.json(PATH)).defaultBranch, 'trunk');
});

test('what is refused is shown again with the problem, and nothing is changed', async () => {
  const { console, kept, repository } = await open();
  await using _console = console;
  await repository.setRules(RULES);
  await repository.setDescription('kept');

  for (const [fields, problem] of [
    [{ rules: '{ "protected": [{ "om": "x" }] }' }, /om/],
    [{ rules: HOSTILE }, /rules: /],
    [{ description: 'x'.repeat(1001) }, /description: /],
    [{ description: 'two\nlines' }, /description: /],
    [{ defaultBranch: 'missing' }, /there is no branch missing/],
    [{ defaultBranch: HOSTILE }, /there is no branch/],
    [{ defaultBranch: '--force' }, /there is no branch/],
    [{ defaultBranch: '../../config' }, /Nothing was changed/],
    [{ defaultBranch: '' }, /Nothing was changed/],
  ] as const) {
    const { status, text } = await post(console, fields);
    const [value = ''] = Object.values(fields);
    assert.deepEqual([status, /role="alert"/.test(text)], [422, true], value);
    assert.match(text, problem, value);
    assert.doesNotMatch(text, /<img|<script>/, value);
    if (!value.includes('\n')) assert.ok(text.includes(value.slice(0, 20).replace(/[<>"].*/, '')), value);
  }

  assert.equal((await post(console, { unknown: 'x' })).status, 400);
  assert.equal(await repository.rules(), RULES);
  assert.equal(await repository.description(), 'kept');
  assert.equal((await kept.git(['symbolic-ref', 'HEAD'])).trim(), 'refs/heads/main');
});

test('hostile settings are shown as text, and survive a change of the form', async () => {
  const { console, repository } = await open();
  await using _console = console;
  const reason = `${HOSTILE}\u202E\u200B`;
  await repository.setDescription(reason);
  await repository.setRules(JSON.stringify({ readOnly: [{ reason }] }));

  const { text } = await console.get(`${PATH}?changed=${encodeURIComponent(HOSTILE)}`);

  assert.doesNotMatch(text, /<img|<script>|role="status"/);
  const [, shown = ''] = /<textarea[^>]*>\n([^<]*)<\/textarea>/.exec(text) ?? [];
  const entities: Record<string, string> = {
    '&quot;': '"',
    '&lt;': '<',
    '&gt;': '>',
    '&#39;': "'",
    '&amp;': '&',
  };
  const typed = shown.replaceAll(/&(?:quot|lt|gt|#39|amp);/g, (entity) => entities[entity] ?? '');
  assert.deepEqual(JSON.parse(typed), { readOnly: [{ reason }] });
});

test('rules that somebody else has changed meanwhile are not replaced unseen', async () => {
  const { console, repository } = await open();
  await using _console = console;
  const [, known = ''] = /name="known" value="([^"]+)"/.exec((await console.get(PATH)).text) ?? [];
  await repository.setRules(RULES);

  const { status, text } = await post(console, { rules: '{}', known });

  assert.equal(status, 422);
  assert.match(text, /Somebody has changed the rules/);
  assert.equal(await repository.rules(), RULES);
  const [, now = ''] = /name="known" value="([^"]+)"/.exec(text) ?? [];
  assert.equal((await post(console, { rules: '{"readOnly":[]}', known: now })).status, 303);
});

// Symptom: both administrators saw that their rules were set, and those of one were overwritten.
test('rules that change after the page has compared them are not replaced', async (context) => {
  const { console, repository } = await open();
  await using _console = console;
  const [, known = ''] = /name="known" value="([^"]+)"/.exec((await console.get(PATH)).text) ?? [];
  const [compared, changed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { setRules } = Repository.prototype;
  const setLater = async function (this: Repository, ...given: Parameters<typeof setRules>): Promise<void> {
    compared.resolve();
    await changed.promise;
    await setRules.apply(this, given);
  };
  const { mock } = context.mock.method(Repository.prototype, 'setRules', setLater);

  const posted = post(console, { rules: '{}', known });
  await compared.promise;
  mock.restore();
  await repository.setRules(RULES);
  changed.resolve();
  const { status, text } = await posted;

  assert.equal(status, 422);
  assert.match(text, /Somebody has changed the rules/);
  assert.equal(await repository.rules(), RULES);
});

test('rules are replaced only if they are the expected ones', async () => {
  const { console, repository } = await open();
  await using _console = console;

  await assert.rejects(repository.setRules(RULES, { expected: RULES }), { code: 'ABORTED' });
  await repository.setRules(RULES, { expected: '' });
  await assert.rejects(repository.setRules(undefined, { expected: '' }), { code: 'ABORTED' });
  assert.equal(await repository.rules(), RULES);
  await repository.setRules(undefined, { expected: RULES });

  assert.equal(await repository.rules(), undefined);
});

test('damaged rules are shown with their problem, large ones are cut', async () => {
  const { console, kept, repository } = await open();
  await using _console = console;
  const large = JSON.stringify({ readOnly: [{ reason: 'x' }], message: [] }) + ' '.repeat(70_000);
  await repository.setRules(large);
  const { text } = await console.get(PATH);
  assert.doesNotMatch(text, /<textarea/);
  assert.match(text, /gitaly-ts repo rules prints/);
  assert.equal((await console.json(PATH)).rules, large);

  writeFileSync(join(kept.path, 'custom_hooks/gitaly-ts/rules.json'), '{ "protected": 1 }');

  const damaged = await console.json(PATH);
  assert.match(damaged.rulesProblem, /protected/);
  assert.match((await console.get(PATH)).text, /every push is refused/);
});

test('readers see the settings, only administrators change them, and others see nothing', async (context) => {
  const { console, repository } = await open({ authFile: writeUsers(context) });
  await using _console = console;
  await repository.setRules(RULES);

  for (const name of PEOPLE) {
    const page = await console.get(PATH, as(name));
    const { status } = await post(console, { description: `by ${name}` }, { headers: as(name) });
    const mayChange = name === 'admin';
    const expected = mayChange ? [200, 303] : name === 'stranger' ? [404, 404] : [200, 403];
    assert.deepEqual([page.status, status], expected, name);
    assert.equal(page.text.includes('<form'), mayChange, name);
    assert.equal(page.text.includes('refs/heads/main'), name !== 'stranger', name);
  }
  assert.equal((await console.get(PATH)).status, 401);
  assert.equal((await post(console, { description: 'by nobody' })).status, 401);

  assert.equal(await repository.description(), 'by admin');
  assert.deepEqual((await console.json(PATH, as('reader'))).mayChange, false);
});

test('a form of another site, or without the token of its user, changes nothing', async (context) => {
  const { console, repository } = await open({ authFile: writeUsers(context) });
  await using _console = console;
  const address = formAddress((await console.get(PATH, as('admin'))).text);
  const origin = console.gateway.url;
  const [, ofOther = ''] =
    /action="\/-\/console([^"]+token=[^"]+)"/.exec(
      (await console.get('/repository/team/a.git/-/storage', as('writer'))).text,
    ) ?? [];
  const foreign = new URLSearchParams(ofOther.split('?')[1]).get('token');
  const fields = { description: 'forged' };
  assert.match(address, /token=/);
  assert.ok(foreign);

  for (const [sent, headers] of [
    [address, { origin: 'http://evil.example' }],
    [address, { origin: 'null' }],
    [address, { 'sec-fetch-site': 'cross-site' }],
    [PATH, { origin }],
    [`${PATH}?token=${foreign}`, { origin }],
    [`${PATH}?token=`, { origin }],
  ] as const) {
    const { status } = await post(console, fields, {
      address: sent,
      headers: { ...as('admin'), ...headers },
    });
    assert.equal(status, 403, `${sent} ${JSON.stringify(headers)}`);
  }
  assert.equal(await repository.description(), '');

  const { status } = await post(console, fields, { address, headers: { ...as('admin'), origin } });
  assert.deepEqual([status, await repository.description()], [303, 'forged']);
});

test('a form beyond the limit is refused', async () => {
  const { console, repository } = await open();
  await using _console = console;

  assert.equal((await post(console, { rules: `{}${' '.repeat(300_000)}` })).status, 413);
  const largest = `{}${'\n'.repeat(65_000)}`;
  assert.equal((await post(console, { rules: largest.replaceAll('\n', '\r\n') })).status, 413);
  assert.equal((await post(console, { rules: `{}${' '.repeat(65_000)}` })).status, 303);

  assert.equal((await repository.rules())?.length, 65_002);
});

test('an event names who changed the default branch', async (context) => {
  const { console } = await open({ authFile: writeUsers(context), config: { events: { enabled: true } } });
  await using _console = console;
  const clone = join(console.gitaly.storagePath(), '..', 'clone');
  const url = `${console.gateway.url.replace('//', '//admin:admin@')}/team/a.git`;
  await runGit(['clone', '-q', url, clone]);

  assert.equal((await post(console, { defaultBranch: 'next' }, { headers: as('admin') })).status, 303);

  const { changes } = await console.json('/repository/team/a.git/-/pushes', as('admin'));
  const head = changes.find(({ reference }: { reference: string }) => reference === 'HEAD');
  assert.equal(head?.user?.name, 'admin');
});
