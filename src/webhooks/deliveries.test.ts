import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { NewEvent } from '#events/event';
import type { EventPayload } from '#events/event-payload';
import { Journal } from '#events/journal';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { Deliveries, type DeliveriesOptions, type DeliverySource } from './deliveries.ts';
import type { DeliveryState } from './delivery-state.ts';
import { RefusedError } from './sender.ts';
import { stateInFile } from './state-file.ts';
import type { Webhook } from './webhook.ts';

const WEBHOOK: Webhook = {
  name: 'test',
  url: new URL('http://127.0.0.1/'),
  key: Buffer.alloc(24),
  storages: [],
  filter: { pathPrefix: '', referencePattern: '' },
  mayBePrivate: true,
};
const fail = (error: unknown): never => assert.fail(String(error));

const change = (relativePath: string, number: number): NewEvent => ({
  kind: 'reference',
  relativePath,
  reference: `refs/heads/${number}`,
  newValue: 'a'.repeat(40),
});

interface Given {
  readonly journal: Journal;
  /** Opens the journal again, after it was closed. */
  reopen(onProblem: (error: unknown) => void): Promise<Journal>;
  /** Directory of the journal's files. */
  readonly journalDirectory: string;
  /** `repository reference` of each delivered event. */
  readonly delivered: string[];
  /** Called for each attempt; throws to refuse. */
  receive: (payload: EventPayload) => Promise<void> | void;
  start(changes?: Partial<DeliveriesOptions>): Deliveries & { readonly state: DeliveryState };
}

async function given(context: TestContext, { maxBytes = 1 << 20 } = {}): Promise<Given> {
  const directory = makeScratchDirectory('deliveries');
  context.after(() => rmSync(directory, { recursive: true }));
  const options = {
    ...{ directory: join(directory, 'journal'), maxBytes, maxAgeMs: 3_600_000 },
    onProblem: (error: unknown): void => fail(error),
  };
  const open = async (onProblem = options.onProblem): Promise<Journal> => {
    const opened = await Journal.open({ ...options, onProblem });
    context.after(() => opened[Symbol.asyncDispose]());
    return opened;
  };
  const journal = await open();
  const made: Given = {
    journal,
    journalDirectory: options.directory,
    reopen: open,
    delivered: [],
    receive: () => {},
    start(changes = {}) {
      const state = stateInFile(join(directory, 'hooks', 'state.json'), fail);
      const send = async (payload: EventPayload, signal: AbortSignal): Promise<void> => {
        await made.receive(payload);
        signal.throwIfAborted();
        made.delivered.push(`${payload.repository} ${payload.reference}`);
      };
      const deliveries = new Deliveries({
        ...{ storage: 'default', journal, webhook: WEBHOOK, state, sender: { send } },
        ...{ firstPauseMs: 1, onProblem: fail },
        ...changes,
      });
      return Object.assign(deliveries, { state });
    },
  };
  return made;
}

test('a webhook begins with the next event, and continues after a restart', async (context) => {
  const { delivered, journal, start } = await given(context);
  await journal.add([change('a.git', 1)]);
  {
    await using _ = start();
    await journal.add([change('a.git', 2)]);
    await until(() => delivered.length === 1);
  }
  await journal.add([change('a.git', 3)]);
  await using _ = start();
  await until(() => delivered.length === 2);

  assert.deepEqual(delivered, ['a.git refs/heads/2', 'a.git refs/heads/3']);
});

// Of four events one was sent, and no other until the next start.
test('deliveries go on after the journal could not be read', async (context) => {
  const { delivered, journal, start } = await given(context);
  const problems: unknown[] = [];
  let failures = 0;
  const source: DeliverySource = {
    get last() {
      return journal.last;
    },
    get oldest() {
      return journal.oldest;
    },
    get news() {
      return journal.news;
    },
    read(position) {
      if (delivered.length === 0 || failures === 3) return journal.read(position);
      failures++;
      throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    },
  };
  await using _ = start({ journal: source, onProblem: (error) => problems.push(error) });
  await journal.add([change('a.git', 1)]);
  await until(() => delivered.length === 1);

  await journal.add([change('a.git', 2), change('b.git', 1), change('a.git', 3)]);
  await until(() => delivered.length === 4);

  assert.deepEqual([failures, problems.length], [3, 3]);
});

test('a repository keeps its order while its events are refused, others go on', async (context) => {
  const made = await given(context);
  const { delivered, journal } = made;
  let refusals = 0;
  made.receive = ({ reference, repository }) => {
    if (repository !== 'a.git' || reference !== 'refs/heads/1' || refusals === 5) return;
    refusals++;
    throw new RefusedError('500', undefined);
  };
  await using deliveries = made.start();
  await journal.add([change('a.git', 1), change('a.git', 2), change('b.git', 1), change('a.git', 3)]);
  await until(() => delivered.length === 4);

  const ofA = delivered.filter((text) => text.startsWith('a.git'));
  assert.deepEqual(ofA, ['a.git refs/heads/1', 'a.git refs/heads/2', 'a.git refs/heads/3']);
  assert.equal(delivered[0], 'b.git refs/heads/1');
  assert.deepEqual(deliveries.state.counts, { delivered: 4, failed: 5, lastProblem: undefined });
});

test('a renamed repository continues the order of its former path', async (context) => {
  const made = await given(context);
  const { delivered, journal } = made;
  const order: string[] = [];
  let refusals = 0;
  made.receive = ({ repository, type }) => {
    if (repository === 'a.git' && refusals++ < 3) throw new RefusedError('500', undefined);
    order.push(`${type} ${repository}`);
  };
  await using _ = made.start();
  const renamed: NewEvent = { kind: 'renamed', relativePath: 'b.git', previousPath: 'a.git' };
  await journal.add([change('a.git', 1), renamed, change('b.git', 1)]);
  await until(() => delivered.length === 3);

  assert.deepEqual(order, ['reference a.git', 'renamed b.git', 'reference b.git']);
});

test('what was not delivered at the end is delivered after the next start, once', async (context) => {
  const made = await given(context);
  const { delivered, journal } = made;
  made.receive = ({ repository }) => {
    if (repository === 'a.git') throw new RefusedError('503', 60_000);
  };
  {
    await using deliveries = made.start();
    await journal.add([change('a.git', 1), change('b.git', 1), change('a.git', 2)]);
    await until(() => delivered.length === 1 && deliveries.state.counts.failed === 1);
  }
  made.receive = () => {};
  await using _ = made.start();
  await until(() => delivered.length === 3);

  assert.deepEqual(delivered, ['b.git refs/heads/1', 'a.git refs/heads/1', 'a.git refs/heads/2']);
});

test('an old event that is refused five times becomes a dead letter', async (context) => {
  const made = await given(context);
  const { delivered, journal } = made;
  made.receive = ({ reference }) => {
    if (reference === 'refs/heads/1') throw new RefusedError('the receiver responded with 500', undefined);
  };
  {
    await using deliveries = made.start({ giveUpMs: 0 });
    await journal.add([change('a.git', 1), change('a.git', 2)]);
    await until(() => delivered.length === 1);

    assert.equal(deliveries.state.counts.failed, 5);
  }
  await using later = made.start();
  const [letter] = later.state.deadLetters;
  assert.equal(later.state.deadLetters.length, 1);
  assert.equal(letter?.id, 'default:1');
  assert.equal(letter?.reason, 'the receiver responded with 500');
  assert.deepEqual([...later.state.waiting], []);
});

test('only wanted events are delivered', async (context) => {
  const { delivered, journal, start } = await given(context);
  const filter = { pathPrefix: 'team/', referencePattern: 'refs/heads/*' };
  await using _ = start({ webhook: { ...WEBHOOK, filter } });
  await journal.add([change('other.git', 1), { ...change('team/a.git', 1), reference: 'refs/tags/v1' }]);
  await journal.add([change('team/a.git', 2)]);
  await until(() => delivered.length > 0);

  assert.deepEqual(delivered, ['team/a.git refs/heads/2']);
});

test('a receiver that is down holds a thousand events, the others stay in the journal', async (context) => {
  const made = await given(context);
  const { delivered, journal } = made;
  let isDown = true;
  made.receive = () => {
    if (isDown) throw new Error('connection refused');
  };
  await using deliveries = made.start({ firstPauseMs: 200 });
  const events = Array.from({ length: 3000 }, (_, index) => change(`${index % 50}.git`, index));
  await journal.add(events);
  await until(() => deliveries.state.counts.failed >= 8);
  assert.equal(deliveries.state.waiting.size, 1000);

  isDown = false;
  await until(() => delivered.length === events.length);
  assert.equal(new Set(delivered).size, events.length);
});

test('events that were removed from the journal are a dead letter, later ones are sent', async (context) => {
  const made = await given(context, { maxBytes: 65_536 });
  const { delivered, journal } = made;
  {
    await using _ = made.start();
    await journal.add([change('a.git', 0)]);
    await until(() => delivered.length === 1);
  }
  // More than the journal has in memory.
  for (let number = 1; number <= 1700; number++)
    await journal.add(Array.from({ length: 10 }, () => change('a.git', number)));
  const { oldest } = journal;
  assert.ok(oldest > 1);
  await using later = made.start();
  await until(() => delivered.at(-1) === 'a.git refs/heads/1700' && later.state.waiting.size === 0);

  // More may have been removed until the first ones were read.
  const sent = delivered.length - 1;
  assert.ok(sent <= journal.last - oldest && sent >= journal.last - journal.oldest, `${sent} were sent`);
  assert.match(later.state.deadLetters[0]?.reason ?? '', /no longer kept/);
});

// Symptom: the server read the damaged file again and again without a pause, and nothing was sent.
test('what is damaged in the journal is sent as one event, the rest as it was', async (context) => {
  const made = await given(context);
  const { delivered, journal, journalDirectory: directory } = made;
  {
    await using _ = made.start();
    await journal.add([change('a.git', 0)]);
    await until(() => delivered.length === 1);
  }
  for (let batch = 0; batch < 20; batch++)
    await journal.add(Array.from({ length: 100 }, (_, index) => change('a.git', batch * 100 + index + 1)));
  const { last } = journal;
  await journal[Symbol.asyncDispose]();
  const [damaged = '', next = '', ...further] = readdirSync(directory)
    .filter((name) => name.endsWith('.log'))
    .sort();
  assert.ok(further.length > 0);
  const text = readFileSync(join(directory, damaged), 'utf8');
  writeFileSync(join(directory, damaged), text.replace('refs/heads/200"', 'refs/heads/2xx"'));

  const problems: unknown[] = [];
  await using later = made.start({ journal: await made.reopen((error) => problems.push(error)) });
  await until(() => delivered.at(-1) === 'a.git refs/heads/2000' && later.state.waiting.size === 0);

  const firstNext = Number.parseInt(next, 10) - 1;
  const sent = delivered.slice(1).filter((text) => text !== ' undefined');
  assert.deepEqual(
    sent,
    Array.from({ length: last - 1 }, (_, index) => `a.git refs/heads/${index + 1}`).toSpliced(
      199,
      firstNext - 200,
    ),
  );
  assert.equal(delivered.length - 1 - sent.length, 1);
  assert.deepEqual([later.state.deadLetters, problems.length], [[], 1]);
});

// Symptom: such an event counted as pending for ever; with 1,000 of them, no further one was sent.
test('an event that the journal has lost before it was sent is not pending any more', async (context) => {
  const made = await given(context);
  const { delivered, journal, journalDirectory: directory } = made;
  let isDown = true;
  made.receive = () => {
    if (isDown) throw new Error('connection refused');
  };
  {
    await using earlier = made.start();
    for (let number = 1; number <= 3; number++) await journal.add([change('a.git', number)]);
    await until(() => earlier.state.counts.failed > 0 && earlier.state.waiting.size === 3);
  }
  await journal[Symbol.asyncDispose]();
  const file = join(directory, readdirSync(directory)[0] ?? '');
  writeFileSync(file, readFileSync(file, 'utf8').replace('refs/heads/3"', 'refs/heads/x"'));

  isDown = false;
  await using later = made.start({ journal: await made.reopen(() => {}) });
  await until(() => delivered.length === 3 && later.state.waiting.size === 0);

  assert.deepEqual(delivered.sort(), [' undefined', 'a.git refs/heads/1', 'a.git refs/heads/2']);
});
